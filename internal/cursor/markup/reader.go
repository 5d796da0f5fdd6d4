package markup

import (
	"bytes"
	"encoding/json"
)

// Where calls begin and end in a text that is there as a whole. Nothing is decided here: the
// decider asks about one mark after the other and draws the conclusions (decide.go).

// A mark is a marker in a text that has been read to its end. Indexes are of bytes.
type mark struct {
	// marker is which one it is.
	marker marker
	from   int // where the white space before it begins
	at     int // where it begins itself
	end    int // what follows it begins here
}

// A reader finds out where the calls of a text begin and end. All that it does is linear in the text.
//
// src and marks are not changed, so slices of src that it returns stay valid as long as src does.
type reader struct {
	src   []byte
	marks []mark
	// tools read the bodies of calls.
	tools *toolbox
	last  [numMarkers]int // index of the last mark of each kind; -1 is none
}

// newReader makes a reader of src, whose markers marks are.
func newReader(src []byte, marks []mark, tools *toolbox) *reader {
	r := &reader{src: src, marks: marks, tools: tools}
	for i := range r.last {
		// 0 is an index.
		r.last[i] = -1
	}
	for k, m := range marks {
		r.last[m.marker] = k
	}
	return r
}

// A callBound is where a call ends. Its zero value is that of a call without an end.
type callBound struct {
	body int // end of its body in src
	pos  int // in src; what follows the call begins here
	next int // the mark after it; 0 when the call has no end
}

// boundAt is the end of a call at mark k, which is its own end or that of its block.
func (r *reader) boundAt(k int) callBound {
	m := r.marks[k]
	if m.marker == callsEnd {
		return callBound{m.at, m.from, k}
	}
	return callBound{m.at, m.end, k + 1}
}

// boundOf finds the end of the call that begins at mark k: its own, which is the first that ends no begin in its value, or
// that of its block, if no marker stands before it. fits is false when there is none, or when a begin in the value is left
// over. A call without an end, before which another begins when it has no value yet, fits: it holds nothing.
//
// How it tells what is quoted: a begin counts as part of the value only after the call has begun to have
// one (a separator, a parenthesis or a bracket). Then each begin needs its own end before the call's.
func (r *reader) boundOf(k int) (end callBound, fits bool) {
	// Everything below is about texts without quotes.
	if end, ok := r.boundOfJSON(k); ok {
		return end, true
	}
	inValue := bytes.ContainsAny(r.upToNext(k), "([{")
	var open begins
	// nested: the value has had a begin of its own. Then only the call's own end counts, because
	// the end of a block may be a quoted one.
	nested := false
	for k++; k < len(r.marks); k++ {
		switch m := r.marks[k].marker; m {
		case callSep:
			inValue = true
		case callBegin, callsBegin:
			if !inValue {
				return callBound{}, true
			}
			open.push(m)
			nested = true
		case callEnd, callsEnd:
			found, over := open.pop(beginOf[m])
			if over > 0 {
				return callBound{}, false
			}
			if !found {
				return r.boundAt(k), m == callEnd || !nested
			}
		}
	}
	return callBound{}, false
}

// lastEnd is the end of a call that begins at mark k and is the last there is: nothing but ends of calls and blocks may
// follow it. It reports false when there is no such end.
func (r *reader) lastEnd(k int) (callBound, bool) {
	// k stands for "none behind it".
	end := max(r.last[callEnd], k)
	if end == k {
		end = max(r.last[callsEnd], k)
	}
	for i := end + 1; i < len(r.marks); i++ {
		if r.marks[i].marker != callsEnd || !r.blank(i-1, i) {
			return r.boundAt(end), false
		}
	}
	rest := r.src[r.marks[len(r.marks)-1].end:]
	ok := end > k && len(bytes.TrimSpace(rest)) == 0
	for end-1 > k && r.marks[end-1].marker == callEnd && r.blank(end-1, end) { // it was written twice
		end--
	}
	return r.boundAt(end), ok
}

// blank reports whether there is only white space between marks a and b.
func (r *reader) blank(a, b int) bool {
	return len(bytes.TrimSpace(r.src[r.marks[a].end:r.marks[b].at])) == 0
}

// upToNext is what stands between mark k and the next one.
func (r *reader) upToNext(k int) []byte {
	if k+1 == len(r.marks) {
		return r.src[r.marks[k].end:]
	}
	return r.src[r.marks[k].end:r.marks[k+1].at]
}

// maxName is how many bytes are looked at for a name.
const maxName = 256

// begins reports whether a call begins at mark k, and not only a text about the marker: what follows is the name of a
// tool, or any name that is written as it has to be, or an object.
//
//	<|tool_call_begin|> marks the begin of a call   no: a text about it
//	<|tool_call_begin|>⏎read⏎                       yes
//	<|tool_call_begin|>read(path: x)                yes
//	<|tool_call_begin|>{"name": …                   yes
//
// k is a callBegin. That the name is one of a tool is enough; otherwise the form has to speak for a call.
func (r *reader) begins(k int) bool {
	head := r.upToNext(k)
	// The bound keeps the work linear, however many begins there are.
	head = head[:min(len(head), maxName)]
	trimmed := bytes.TrimLeft(head, blanks)
	if bytes.HasPrefix(trimmed, []byte("{")) {
		return true
	}
	i := bytes.IndexAny(trimmed, "([\r\n")
	if i < 0 {
		i = len(trimmed)
	}
	name := string(bytes.TrimSpace(trimmed[:i]))
	if r.tools.index.Find(name) != nil {
		return true
	}
	onItsLine := bytes.ContainsAny(head[:len(head)-len(trimmed)], "\n") || k+1 < len(r.marks) && r.marks[k+1].marker == callSep
	inForm := i < len(trimmed) && trimmed[i] != '\r' && trimmed[i] != '\n'
	return name != "" && (onItsLine || inForm && isWord(name))
}

// boundOfJSON finds the end of a call whose body is an object or holds nothing else in its
// parentheses: JSON says itself where it ends, whatever its strings hold. It is tried first: it
// is the one form in which quoted markers can't mislead.
//
// ok is false also when the object is followed by anything but closing signs and white space up to an end.
func (r *reader) boundOfJSON(k int) (callBound, bool) {
	head := r.upToNext(k)
	i := bytes.IndexByte(head, '{')
	if i < 0 || bytes.ContainsAny(bytes.TrimSpace(head[:i]), blanks) {
		return callBound{}, false
	}
	begin := r.marks[k].end + i
	d := json.NewDecoder(bytes.NewReader(r.src[begin:]))
	var object json.RawMessage
	if d.Decode(&object) != nil {
		return callBound{}, false
	}
	// Marks within the object are quoted in its strings.
	over := begin + int(d.InputOffset())
	for k++; k < len(r.marks) && r.marks[k].at < over; k++ {
	}
	if k == len(r.marks) || r.marks[k].marker != callEnd && r.marks[k].marker != callsEnd ||
		len(bytes.Trim(r.src[over:r.marks[k].at], ")]"+blanks)) > 0 {
		return callBound{}, false
	}
	return r.boundAt(k), true
}

// beginOf is the begin that an end belongs to.
var beginOf = map[marker]marker{callEnd: callBegin, callsEnd: callsBegin}

// begins are the begins in a call's value that have no end yet, in their order. count has how many of each
// kind are open, so that pop needs no search to say that there is none. The zero value has none open.
type begins struct {
	// open is a stack: the innermost is last.
	open  []marker
	count [numMarkers]int
}

// push adds a begin.
func (b *begins) push(m marker) {
	b.open = append(b.open, m)
	b.count[m]++
}

// pop takes off the last m, and all that came after it: over is how many those are, which so have no end. found is false
// when there is no m.
func (b *begins) pop(m marker) (found bool, over int) {
	// An end without a begin is what the caller looks for, so it comes often, and must be cheap.
	if b.count[m] == 0 {
		return false, 0
	}
	for {
		last := b.open[len(b.open)-1]
		b.open = b.open[:len(b.open)-1]
		b.count[last]--
		if last == m {
			return true, over
		}
		over++
	}
}
