package k8s

// list has objects in an order that changes as little as it can: what is new is at the end, and
// what takes the place of another is at its place.
type list[T comparable] struct {
	objects []T
	at      map[T]int // the place of each
}

// replace takes old out and puts now in. The zero value of either is none.
func (l *list[T]) replace(old, now T) {
	var none T
	if l.at == nil {
		l.at = make(map[T]int)
	}
	place, had := l.at[old]
	delete(l.at, old)
	switch {
	case had && now != none:
		l.objects[place], l.at[now] = now, place
	case had: // the last fills the gap
		last := len(l.objects) - 1
		if moved := l.objects[last]; place != last {
			l.objects[place], l.at[moved] = moved, place
		}
		l.objects[last] = none
		l.objects = l.objects[:last]
	case now != none:
		l.at[now] = len(l.objects)
		l.objects = append(l.objects, now)
	}
}
