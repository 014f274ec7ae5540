package manifest

import "strings"

// chunk is the text of one YAML document within a file, or of a stream of JSON objects.
type chunk struct {
	line int // of its first line, from 1
	text string
}

// split cuts text into documents at the markers "---" and "...", which mean that wherever they
// stand at the beginning of a line. Each is parsed alone, so that a mistake in one costs only
// that one. Documents with nothing but comments are left out.
func split(text string) []chunk {
	var chunks []chunk
	start, startLine, empty := 0, 1, true
	flush := func(end, nextLine int) {
		if !empty {
			chunks = append(chunks, chunk{startLine, text[start:end]})
		}
		start, startLine, empty = end, nextLine, true
	}
	for off, line := 0, 1; off < len(text); line++ {
		end := len(text)
		if i := strings.IndexByte(text[off:], '\n'); i >= 0 {
			end = off + i + 1
		}
		switch row := text[off:end]; {
		case isMarker(row, "---"):
			// Directives and comments before the marker belong to the document after it.
			if !empty {
				flush(off, line)
			}
			empty = blank(row[len("---"):])
		case isMarker(row, "..."):
			flush(end, line+1)
			start = end
		default:
			empty = empty && (blank(row) || row[0] == '%')
		}
		off = end
	}
	flush(len(text), 0)
	return chunks
}

// isMarker reports whether row is the marker, alone or followed by white space and more.
func isMarker(row, marker string) bool {
	rest, ok := strings.CutPrefix(row, marker)
	return ok && (rest == "" || strings.ContainsRune(" \t\r\n", rune(rest[0])))
}

// blank reports whether row holds nothing but white space and a comment.
func blank(row string) bool {
	row = strings.TrimSpace(row)
	return row == "" || row[0] == '#'
}
