package tickets

import (
	"context"
	"time"
)

// check is how often the clock is looked at: a timer does not notice that it was set.
const check = time.Minute

// Keep makes keys for this process alone, gives them to use, and rotates them until ctx ends.
func Keep(ctx context.Context, use func(Keys)) { keep(ctx, use, time.Now(), time.Tick(check)) }

func keep(ctx context.Context, use func(Keys), now time.Time, tick <-chan time.Time) {
	keys := New(now)
	use(keys)
	for {
		select {
		case <-ctx.Done():
			return
		case now = <-tick:
		}
		if next, due := keys.Rotate(now); due {
			keys = next
			use(keys)
		}
	}
}
