package http1

import (
	"context"
	"time"
)

type dialTimeoutKey struct{}

// WithDialTimeout returns a context that tells whoever makes a connection how long it may take;
// ctx itself if timeout is zero.
func WithDialTimeout(ctx context.Context, timeout time.Duration) context.Context {
	if timeout == 0 {
		return ctx
	}
	return context.WithValue(ctx, dialTimeoutKey{}, timeout)
}

// DialTimeout is what WithDialTimeout was given; zero if it was not called.
func DialTimeout(ctx context.Context) time.Duration {
	timeout, _ := ctx.Value(dialTimeoutKey{}).(time.Duration)
	return timeout
}
