package certs

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// blocks yields the PEM blocks of text. Windows editors put a byte order mark in front, which
// would hide the first block from pem.Decode.
func blocks(text []byte) iter.Seq[*pem.Block] {
	return func(yield func(*pem.Block) bool) {
		rest := bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
		for {
			var block *pem.Block
			block, rest = pem.Decode(rest)
			if block == nil || !yield(block) {
				return
			}
		}
	}
}

// noBlock says that file has no PEM block of the wanted type, and what it has instead.
func noBlock(file, want string, text []byte, seen []string) error {
	switch {
	case len(bytes.TrimSpace(text)) == 0:
		return fmt.Errorf("%s: no PEM block %s found; it is empty", file, want)
	case len(seen) > 0:
		return fmt.Errorf("%s: no PEM block %s found, only %s", file, want, strings.Join(unique(seen), ", "))
	case bytes.Contains(text, []byte("-----BEGIN")):
		return fmt.Errorf("%s: no PEM block %s found; the block in its %d bytes is damaged", file, want, len(text))
	}
	return fmt.Errorf("%s: no PEM block %s found; its %d bytes are not PEM", file, want, len(text))
}

// unique returns the first few different words, so that hostile input makes no long errors.
func unique(words []string) []string {
	const most = 4
	var out []string
	for _, w := range words {
		if len(out) == most {
			return append(out, "and others")
		}
		w = fmt.Sprintf("%.40q", w)
		w = w[1 : len(w)-1]
		if !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}
