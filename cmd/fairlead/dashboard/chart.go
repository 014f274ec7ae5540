package dashboard

// chart is the course of the last minutes as bars of an SVG image.
type chart struct {
	Bars    []bar
	Top     string // the largest rate
	Minutes int    // that the bars stand for
}

// bar is requests per second between two readings, the errors among them from the ground up.
type bar struct {
	X, Y, Height        float64
	ErrorY, ErrorHeight float64
	Width               float64
}

const (
	chartWidth  = 600
	chartHeight = 60
	barWidth    = float64(chartWidth) / points
)

// newChart returns nil when there is nothing to be drawn yet.
func newChart(courses []course) *chart {
	if len(courses) < 2 {
		return nil
	}
	top := 0.0
	for _, c := range courses {
		top = max(top, c.requests)
	}
	ch := &chart{Top: perSecond(top), Minutes: points * int(every.Seconds()) / 60}
	for i, c := range courses {
		if c.requests == 0 {
			continue
		}
		b := bar{X: float64(points-len(courses)+i) * barWidth, Width: barWidth - 1}
		b.Height = max(1, c.requests/top*chartHeight)
		b.Y = chartHeight - b.Height
		if c.errors > 0 {
			b.ErrorHeight = max(2, c.errors/top*chartHeight)
			b.ErrorY = chartHeight - b.ErrorHeight
		}
		ch.Bars = append(ch.Bars, b)
	}
	return ch
}
