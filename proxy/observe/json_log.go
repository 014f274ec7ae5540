package observe

import (
	"encoding/binary"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/fairlead-ingress/fairlead/proxy"
)

// jsonEncoder writes an exchange as a JSON object and a newline. Every line has every field,
// so that a column store needs no schema of optional ones.
type jsonEncoder struct {
	encoder zapcore.Encoder
	lines   sync.Pool // of *jsonLine
}

func newJSONEncoder() *jsonEncoder {
	e := &jsonEncoder{encoder: zapcore.NewJSONEncoder(zapcore.EncoderConfig{
		TimeKey:    "time",
		EncodeTime: zapcore.TimeEncoderOfLayout("2006-01-02T15:04:05.000Z07:00"),
		LineEnding: "\n",
	})}
	e.lines.New = func() any {
		l := new(jsonLine)
		l.fields[0] = zap.Inline(l)
		return l
	}
	return e
}

// append appends the line of x to dst.
func (e *jsonEncoder) append(dst []byte, rule *ruleText, x *proxy.Exchange) []byte {
	l := e.lines.Get().(*jsonLine)
	l.rule, l.x = rule, x
	buf, err := e.encoder.EncodeEntry(zapcore.Entry{Time: x.Start.UTC()}, l.fields[:])
	l.rule, l.x = nil, nil
	e.lines.Put(l)
	if err != nil {
		return dst // MarshalLogObject returns none
	}
	dst = appendPrintable(dst, buf.Bytes())
	buf.Free()
	return dst
}

// jsonLine is the fields of a line, in their order.
type jsonLine struct {
	rule    *ruleText
	x       *proxy.Exchange
	fields  [1]zapcore.Field // of itself
	scratch [64]byte
}

// MarshalLogObject adds the fields. Their list is a contract: docs/access-log.md.
func (l *jsonLine) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	x := l.x
	enc.AddString("request_id", clip(x.RequestID, maxRequestID))
	l.addAddr(enc, "client_ip", x)
	enc.AddString("method", clip(x.Method, maxMethod))
	enc.AddString("scheme", x.Scheme)
	enc.AddString("host", clip(x.Host, maxHost))
	path, query, _ := strings.Cut(clip(x.Target, maxTarget), "?")
	enc.AddString("path", path)
	enc.AddString("query", query)
	enc.AddString("proto", clip(x.Proto, maxProto))
	enc.AddInt("status", x.Status)
	enc.AddString("reason", x.Reason)
	text := ""
	if x.Err != nil {
		text = clip(x.Err.Error(), maxErr)
	}
	enc.AddString("error", text)
	enc.AddBool("client_aborted", x.ClientAborted)
	enc.AddBool("upgraded", x.Upgraded)
	enc.AddInt64("bytes_in", x.BytesIn)
	enc.AddInt64("bytes_out", x.BytesOut)
	enc.AddFloat64("duration_ms", milliseconds(x.Duration))
	enc.AddFloat64("ttfb_ms", milliseconds(x.TTFB))
	enc.AddString("namespace", l.rule.namespace)
	enc.AddString("ingress", l.rule.ingress)
	enc.AddString("service", l.rule.service)
	enc.AddString("port", l.rule.port)
	enc.AddBool("canary", l.rule.toCanary(x))
	l.addAttempts(enc, x)
	enc.AddString("user_agent", clip(x.UserAgent, maxUserAgent))
	enc.AddString("referer", clip(x.Referer, maxReferer))
	return nil
}

func (l *jsonLine) addAddr(enc zapcore.ObjectEncoder, key string, x *proxy.Exchange) {
	b := l.scratch[:0]
	if x.ClientIP.IsValid() {
		b = x.ClientIP.AppendTo(b)
	}
	enc.AddByteString(key, b)
}

// milliseconds keeps microseconds.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

// appendPrintable appends a line of JSON to dst with every character that is not printable,
// or that has no width, written as \uXXXX: zap escapes the control characters below U+0020,
// but a terminal also obeys those from U+007F to U+009F, and the ones that turn the direction
// of text show a line that is not the one in the file. Such characters can only stand within
// strings, so the line stays the same JSON.
func appendPrintable(dst, line []byte) []byte {
	done := 0
	for i := 0; i < len(line); {
		if i+8 <= len(line) {
			// Eight bytes at once: a byte has its highest bit set, or gets it by adding
			// one, when it is 0x7f or more.
			v := binary.NativeEndian.Uint64(line[i:])
			if (v|(v+0x0101010101010101))&0x8080808080808080 == 0 {
				i += 8
				continue
			}
		}
		if c := line[i]; c < 0x7f {
			i++
			continue
		}
		r, size := utf8.DecodeRune(line[i:])
		if unicode.IsPrint(r) {
			i += size
			continue
		}
		dst = append(dst, line[done:i]...)
		if r1, r2 := utf16.EncodeRune(r); r1 != unicode.ReplacementChar {
			dst = appendU(appendU(dst, r1), r2)
		} else {
			dst = appendU(dst, r)
		}
		i += size
		done = i
	}
	return append(dst, line[done:]...)
}

func appendU(dst []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}
