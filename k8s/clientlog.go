package k8s

import (
	"context"

	"go.uber.org/zap"
	"k8s.io/klog/v2"
)

// withLogger makes client-go log what it does under ctx to log, at level debug: what matters
// of it we log ourselves, once.
func withLogger(ctx context.Context, log *zap.Logger) context.Context {
	return klog.NewContext(ctx, klog.New(clientLog{log.WithOptions(zap.AddCallerSkip(2)).Sugar()}))
}

// clientLog is a klog.LogSink.
type clientLog struct{ log *zap.SugaredLogger }

func (clientLog) Init(klog.RuntimeInfo)               {}
func (l clientLog) Enabled(level int) bool            { return level <= 2 }
func (l clientLog) Info(_ int, msg string, kv ...any) { l.log.Debugw(msg, kv...) }
func (l clientLog) Error(err error, msg string, kv ...any) {
	l.log.Debugw(msg, append(kv, "error", err)...)
}
func (l clientLog) WithValues(kv ...any) klog.LogSink { return clientLog{l.log.With(kv...)} }
func (l clientLog) WithName(name string) klog.LogSink { return clientLog{l.log.Named(name)} }
