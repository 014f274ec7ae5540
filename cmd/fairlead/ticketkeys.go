package main

import (
	"crypto/tls"
	"sync/atomic"
	"time"

	"github.com/fairlead-ingress/fairlead/tls/tickets"
)

// ticketKeys are the keys that session tickets are sealed with. The zero value has keys of this
// process alone, which package crypto/tls makes and changes daily.
type ticketKeys struct {
	sealing tls.Config // is never served
	began   atomic.Int64
}

// use makes keys count from now on, for connections that are open as well.
func (t *ticketKeys) use(keys tickets.Keys) {
	t.sealing.SetSessionTicketKeys(keys.Sealing())
	t.began.Store(keys.Since.Unix())
}

// since is when the key that seals began to; zero while use was not called.
func (t *ticketKeys) since() time.Time {
	if s := t.began.Load(); s != 0 {
		return time.Unix(s, 0)
	}
	return time.Time{}
}
