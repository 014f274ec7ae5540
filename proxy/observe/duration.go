package observe

import (
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// The native buckets of durations: those of schema 3 of Prometheus' exponential histograms, 8 to
// each power of two of a second. What takes at most zeroThreshold is in the zero bucket, what
// takes longer than the last bucket's end, 68 minutes, in the last bucket.
const (
	nativeSchema = 3
	perOctave    = 1 << nativeSchema
	firstOctave  = -16 // durations up to 2^firstOctave s are the zero bucket
	octaves      = 28
)

// zeroThreshold is in seconds.
const zeroThreshold = 1.0 / (1 << -firstOctave)

// classicBounds are the ends of the classic buckets in seconds; those as a Duration are in
// classicEnds.
var classicBounds = [...]float64{.005, .01, .025, .1, .25, 1, 2.5, 10}

var classicEnds = [...]time.Duration{
	5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 100 * time.Millisecond,
	250 * time.Millisecond, time.Second, 2500 * time.Millisecond, 10 * time.Second,
}

// nativeBounds are the ends of the native buckets of the octave from 1/2 to 1.
var nativeBounds = [perOctave]float64{
	0.5, 0.5452538663326288, 0.5946035575013605, 0.6484197773255048,
	0.7071067811865475, 0.7711054127039704, 0.8408964152537144, 0.9170040432046711,
}

// durations is a histogram with classic and native buckets, as the client library's is. Every
// route with traffic has one and every request is counted in one, so the words that a request
// changes lie together: with thousands of routes each costs a cache miss. The zero value is empty.
// It is safe for concurrent use.
type durations struct {
	sum     atomic.Int64 // ns
	classic [len(classicEnds)]atomic.Uint64
	zero    atomic.Uint64
	native  [octaves]atomic.Pointer[[perOctave]atomic.Uint64] // made when they are first needed
}

// observe counts d; less than nothing counts as nothing.
func (h *durations) observe(d time.Duration) {
	d = max(d, 0)
	h.sum.Add(int64(d))
	// Native before classic, and read the other way round: the classic ones are never more.
	if o, i := nativeBucket(d); o < 0 {
		h.zero.Add(1)
	} else {
		buckets := h.native[o].Load()
		if buckets == nil {
			h.native[o].CompareAndSwap(nil, new([perOctave]atomic.Uint64))
			buckets = h.native[o].Load()
		}
		buckets[i].Add(1)
	}
	for i, end := range classicEnds {
		if d <= end {
			h.classic[i].Add(1)
			break
		}
	}
}

// nativeBucket returns the octave that d is counted in, and the bucket there; a negative octave
// is the zero bucket.
func nativeBucket(d time.Duration) (octave, bucket int) {
	s := d.Seconds()
	if s <= zeroThreshold {
		return -1, 0
	}
	fraction, exponent := math.Frexp(s)
	for bucket < perOctave && nativeBounds[bucket] < fraction {
		bucket++
	}
	// Bucket k of the schema ends at 2^(k/8) and does not have its beginning.
	k := bucket + (exponent-1)*perOctave - firstOctave*perOctave - 1
	k = min(k, octaves*perOctave-1)
	return k / perOctave, k % perOctave
}

// histogram is a durations as a prometheus.Metric.
type histogram struct {
	*durations
	desc    *prometheus.Desc
	created time.Time
	labels  []*dto.LabelPair
}

// Desc implements prometheus.Metric.
func (h histogram) Desc() *prometheus.Desc { return h.desc }

// Write implements prometheus.Metric.
func (h histogram) Write(out *dto.Metric) error {
	d := &dto.Histogram{
		SampleSum: new(time.Duration(h.sum.Load()).Seconds()),
		Schema:    new(int32(nativeSchema)), ZeroThreshold: new(zeroThreshold),
		CreatedTimestamp: timestamppb.New(h.created),
	}
	var total uint64
	for i := range h.classic {
		total += h.classic[i].Load()
		d.Bucket = append(d.Bucket, &dto.Bucket{CumulativeCount: new(total), UpperBound: new(classicBounds[i])})
	}
	total = h.zero.Load()
	d.ZeroCount = new(total)
	var last, end int64 // the count and the end of the bucket before
	for o := range h.native {
		buckets := h.native[o].Load()
		for i := 0; buckets != nil && i < perOctave; i++ {
			n := int64(buckets[i].Load())
			if n == 0 {
				continue
			}
			total += uint64(n)
			k := int64((firstOctave+o)*perOctave + i + 1)
			switch gap := k - end; {
			case len(d.PositiveSpan) == 0 || gap > 2:
				d.PositiveSpan = append(d.PositiveSpan, &dto.BucketSpan{Offset: new(int32(gap)), Length: new(uint32(0))})
			case gap > 0: // empty buckets are smaller than another span
				d.PositiveDelta = append(d.PositiveDelta, -last)
				d.PositiveDelta = append(d.PositiveDelta, make([]int64, gap-1)...)
				*d.PositiveSpan[len(d.PositiveSpan)-1].Length += uint32(gap)
				last = 0
			}
			*d.PositiveSpan[len(d.PositiveSpan)-1].Length++
			d.PositiveDelta = append(d.PositiveDelta, n-last)
			last, end = n, k+1
		}
	}
	d.SampleCount = new(total)
	out.Histogram, out.Label = d, slices.Clone(h.labels)
	return nil
}
