package observe

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
)

// The library's histogram is the oracle: the same buckets, with the same counts, in the same spans.
func TestDurationsAreAsTheLibrarys(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	anything := make([]time.Duration, 5000)
	for i := range anything {
		anything[i] = time.Duration(1<<random.Uint64N(42) + random.Uint64N(1<<random.Uint64N(42)))
	}
	var ends []time.Duration
	for _, end := range classicEnds {
		ends = append(ends, end-1, end, end+1)
	}
	for e := firstOctave; e <= 11; e++ {
		end := time.Duration(float64(time.Second) * pow2(e))
		ends = append(ends, end-1, end, end+1)
	}
	for name, all := range map[string][]time.Duration{
		"none": nil, "one": {3 * time.Millisecond}, "nothing": {0, 1}, "ends": ends, "anything": anything,
		"gaps": {time.Millisecond, 1200 * time.Microsecond, time.Second, time.Second, time.Hour},
	} {
		want := prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "x", Buckets: classicBounds[:], NativeHistogramBucketFactor: 1.1, NativeHistogramZeroThreshold: zeroThreshold,
		})
		h := histogram{durations: new(durations), desc: want.Desc()}
		for _, d := range all {
			h.observe(d)
			want.Observe(d.Seconds())
		}
		got, expected := write(t, h), write(t, want)
		if sum, wanted := got.GetSampleSum(), expected.GetSampleSum(); sum < wanted*(1-1e-9) || sum > wanted*(1+1e-9) {
			t.Errorf("%s: sum %g, want %g", name, sum, wanted)
		}
		got.SampleSum, got.CreatedTimestamp = expected.SampleSum, expected.CreatedTimestamp
		if !proto.Equal(got, expected) {
			t.Errorf("%s: got %s\nwant %s", name, prototext.Format(got), prototext.Format(expected))
		}
	}
}

func pow2(e int) float64 {
	if e < 0 {
		return 1 / float64(uint64(1)<<-e)
	}
	return float64(uint64(1) << e)
}

// What no bucket is for is counted in the nearest.
func TestDurationsOutOfRange(t *testing.T) {
	h := histogram{durations: new(durations)}
	h.observe(-time.Second)
	h.observe(1 << 62)
	got := write(t, h)
	if got.GetSampleCount() != 2 || got.GetZeroCount() != 1 || len(got.GetPositiveDelta()) != 1 || got.GetSampleSum() < 1 {
		t.Errorf("got %v, want one in the zero bucket and one in the last", got)
	}
}

// A scrape between observations never shows more in the classic buckets than in all.
func TestDurationsWhileScraped(t *testing.T) {
	h := histogram{durations: new(durations)}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 20_000 {
				h.observe(time.Duration(i) * time.Microsecond)
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		got := write(t, h)
		if last := got.GetBucket()[len(classicBounds)-1].GetCumulativeCount(); last > got.GetSampleCount() {
			t.Fatalf("%d in the classic buckets, %d in all", last, got.GetSampleCount())
		}
	}
	if got := write(t, h).GetSampleCount(); got != 80_000 {
		t.Errorf("counted %d, want 80000", got)
	}
}

func write(t *testing.T, m prometheus.Metric) *dto.Histogram {
	t.Helper()
	var out dto.Metric
	if err := m.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.GetHistogram()
}

func BenchmarkObserveDuration(b *testing.B) {
	var h durations
	for b.Loop() {
		h.observe(1234 * time.Microsecond)
	}
}
