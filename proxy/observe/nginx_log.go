package observe

import (
	"strconv"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy"
)

// appendNginx appends the line of x in the default log-format-upstream of ingress-nginx:
//
//	$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent
//	"$http_referer" "$http_user_agent" $request_length $request_time
//	[$proxy_upstream_name] [$proxy_alternative_upstream_name] $upstream_addr
//	$upstream_response_length $upstream_response_time $upstream_status $req_id
//
// on one line. docs/access-log.md says where a value can differ from nginx's.
func appendNginx(dst []byte, rule *ruleText, x *proxy.Exchange, loc *time.Location) []byte {
	if x.ClientIP.IsValid() {
		dst = x.ClientIP.AppendTo(dst)
	} else {
		dst = append(dst, '-')
	}
	dst = append(dst, " - - ["...) // the user is left out
	dst = x.Start.Add(x.Duration).In(loc).AppendFormat(dst, "02/Jan/2006:15:04:05 -0700")
	dst = append(dst, `] "`...)
	dst = appendEscaped(dst, clip(x.Method, maxMethod))
	dst = append(dst, ' ')
	dst = appendEscaped(dst, clip(x.Target, maxTarget))
	dst = append(dst, ' ')
	dst = appendEscaped(dst, clip(x.Proto, maxProto))
	dst = append(dst, `" `...)
	dst = appendStatus(dst, x.Status)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, x.BytesOut, 10)
	dst = append(dst, ` "`...)
	dst = appendField(dst, clip(x.Referer, maxReferer))
	dst = append(dst, `" "`...)
	dst = appendField(dst, clip(x.UserAgent, maxUserAgent))
	dst = append(dst, `" `...)
	dst = strconv.AppendInt(dst, requestLength(x), 10)
	dst = append(dst, ' ')
	dst = appendSeconds(dst, x.Duration)
	dst = append(dst, " ["...)
	dst = append(dst, rule.upstreamName...)
	dst = append(dst, "] ["...)
	if rule.toCanary(x) {
		dst = append(dst, rule.canaryName...)
	}
	dst = append(dst, "] "...)
	dst = appendUpstream(dst, x)
	dst = append(dst, ' ')
	dst = appendField(dst, clip(x.RequestID, maxRequestID))
	return append(dst, '\n')
}

// requestLength is the length of the request line and of the body: the server does not tell
// how long the header fields were.
func requestLength(x *proxy.Exchange) int64 {
	return int64(len(x.Method)+len(x.Target)+len(x.Proto)+len("  \r\n")) + x.BytesIn
}

// appendField is appendEscaped with "-" for what is not there, as nginx writes it.
func appendField(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, '-')
	}
	return appendEscaped(dst, s)
}

// appendEscaped escapes as nginx does in its default log format: the quotation mark, the
// backslash, and all but the printable characters of ASCII, as \xXX.
func appendEscaped(dst []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			dst = append(dst, '\\', 'x', hex[c>>4], hex[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}

// appendStatus writes a status with three digits; 000 when there was none.
func appendStatus(dst []byte, status int) []byte {
	for limit := 100; limit > 1 && status < limit; limit /= 10 {
		dst = append(dst, '0')
	}
	return strconv.AppendInt(dst, int64(status), 10)
}

// appendSeconds writes d in seconds with three decimals, cut off rather than rounded.
func appendSeconds(dst []byte, d time.Duration) []byte {
	ms := max(d, 0).Milliseconds()
	dst = strconv.AppendInt(dst, ms/1000, 10)
	return append(dst, '.', byte('0'+ms/100%10), byte('0'+ms/10%10), byte('0'+ms%10))
}
