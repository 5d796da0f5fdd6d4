package known

import "bytes"

// A span is where a value stands in a body.
type span struct{ start, end int }

// elements are the spans of the elements of the list that is called name in the body's root object; nil when there is none, or
// when it can't be told which list the decoder will take.
//
// It looks at brackets and quotes alone. If body is valid JSON, the spans are right. If it isn't, they may be anything that
// stands between commas and brackets; since only spans whose bytes are those of a valid value are ever replaced, by another
// value, what is left is no more valid than before.
func elements(body []byte, name string) []span {
	s := scanner{data: body}
	if mark := []byte("\uFEFF"); bytes.HasPrefix(body, mark) { // a byte order mark
		s.at = len(mark)
	}
	var list []span
	found := false
	if !s.take('{') || s.take('}') {
		return nil
	}
	for {
		member, plain := s.name()
		if !plain || !s.take(':') {
			return nil
		}
		if string(member) != name {
			s.value()
		} else if list = s.list(); list == nil || found {
			return nil // another type, or the same name twice
		} else {
			found = true
		}
		if s.take(',') {
			continue
		}
		if !s.take('}') {
			return nil
		}
		return list
	}
}

// A scanner goes over JSON without understanding it. After something unexpected it stands where that is, and whoever takes
// the next thing finds something else.
type scanner struct {
	// data[at:] is what is left. at never goes beyond the end.
	data []byte
	at   int
}

// peek is the next byte that is no white space; 0 at the end.
func (s *scanner) peek() byte {
	for ; s.at < len(s.data); s.at++ {
		switch b := s.data[s.at]; b {
		case ' ', '\n', '\r', '\t':
		default:
			return b
		}
	}
	return 0
}

// take passes b, if it is next.
func (s *scanner) take(b byte) bool {
	if s.peek() != b {
		return false
	}
	s.at++
	return true
}

// name passes the name of a member. It is not plain when it is none, or when it is spelt with escapes: then it may be any name.
func (s *scanner) name() (name []byte, plain bool) {
	if s.peek() != '"' {
		return nil, false
	}
	start := s.at + 1
	s.text()
	if s.at <= start {
		return nil, false
	}
	name = s.data[start : s.at-1]
	return name, bytes.IndexByte(name, '\\') < 0
}

// list passes a list, and is where its elements are. Nil is no list; an empty one has no elements, and isn't nil.
func (s *scanner) list() []span {
	if !s.take('[') {
		return nil
	}
	// Not nil: an empty list is a list.
	list := []span{}
	if s.take(']') {
		return list
	}
	for {
		// peek passes blanks, so an element begins at its first byte.
		s.peek()
		start := s.at
		s.value()
		// Nothing was passed: no value stands here.
		if s.at == start {
			return nil
		}
		list = append(list, span{start, s.at})
		if s.take(']') {
			return list
		}
		if !s.take(',') {
			return nil
		}
	}
}

// value passes a value: to the bracket that closes it, or to the end of a string, a number or a word.
func (s *scanner) value() {
	switch s.peek() {
	case '"':
		s.text()
		return
	case '{', '[':
	default:
		// A number or a word ends where JSON goes on. Whether it is one, the decoder will say.
		if length := bytes.IndexAny(s.data[s.at:], ",:]}{[\" \n\r\t"); length >= 0 {
			s.at += length
		} else {
			s.at = len(s.data)
		}
		return
	}
	// Brackets are counted and not matched: "[}" passes here and fails when it is decoded.
	for depth := 0; s.at < len(s.data); {
		switch s.data[s.at] {
		case '"':
			s.text()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if s.at++; depth == 0 {
			return
		}
	}
}

// text passes a string, whose quote is next. Its end is the first quote behind an even number of backslashes.
func (s *scanner) text() {
	start := s.at + 1
	for at := start; ; {
		quote := bytes.IndexByte(s.data[at:], '"')
		if quote < 0 {
			s.at = len(s.data)
			return
		}
		// From an offset in what was searched to one in data.
		quote += at
		// An odd number of backslashes before it escapes the quote.
		slashes := quote
		for slashes > at && s.data[slashes-1] == '\\' {
			slashes--
		}
		at = quote + 1
		if (quote-slashes)%2 == 0 {
			s.at = at
			return
		}
	}
}
