package markup

import "bytes"

// A decider makes pieces of what a filter has kept, from marker to marker, at the end of the answer.
//
// Markers may be quoted in a value, in pairs or singly. As long as all of them fit together, depth tells the calls from
// the quotations. When one does not fit, it is quoted somewhere. Then there may still be one call only, which holds all
// the others' markers; but with several it can't be told which are real, and nobody may run any of them.
//
//	markers (B: begin, E: end of a call)   decided
//	B E B E                                two calls
//	B B E E                                one call, whose value quotes a pair
//	B E text E                             one call, which goes to the last E
//	B E text B E                           a call that is refused: the text may be part of its value
//	B                                      text
//
// It is used once, by one goroutine.
type decider struct {
	*reader
	shown bool // as in CallFilter
	next  int  // the marker that is looked at
	pos   int  // in src; what stands before it is among the pieces
	block bool // between an outer begin that is not text and its end
	// pieces are in the order of the text.
	pieces []piece
	called bool // the last piece is a call
	first  int  // mark of the first call; -1 is none
	before int  // how many pieces stand before the first call
	from   int  // in src; where the first call begins, with the outer begin before it
}

// A piece is what was decided: a text, or a call that is made or refused.
// Texts share the source's memory; calls have their own.
type piece struct {
	text []byte // nil for a call
	// call is set for a call; refusal, too, when it can't be made.
	call    call
	refusal *Refusal
}

// run goes through all of it, and returns the pieces in the order of the answer.
//
// Its work is linear in the text: each step moves on, and misfit, which goes back, happens once
// at most, because alone takes all that is left.
func (d *decider) run() []piece {
	// The zero value would be the first mark.
	d.first = -1
	// What follows the last marker is text.
	for d.next < len(d.marks) {
		d.step()
	}
	d.text(len(d.src))
	return d.pieces
}

// step decides about the next marker, and about the call or the result that begins with it. It always moves on: next grows, or
// misfit takes the rest.
func (d *decider) step() {
	switch d.marks[d.next].marker {
	case callsBegin:
		d.outerBegin()
	case callBegin:
		if d.begins(d.next) {
			d.call()
		} else {
			d.next++ // text
		}
	case callsEnd:
		d.outerEnd()
	case resultsBegin, resultBegin:
		d.result()
	case callEnd, callSep:
		d.misfit()
	default:
		d.next++
	}
}

// outerBegin notes the begin of a block. It is text unless a call follows.
func (d *decider) outerBegin() {
	// A begin of a block that is followed by a call which really begins.
	k := d.next + 1
	calls := k < len(d.marks) && d.marks[k].marker == callBegin && d.blank(k-1, k) && d.begins(k)
	// A block within a block, or one without a call, after a call: a quotation.
	if d.first >= 0 && (d.block || !calls) {
		d.misfit()
		return
	}
	d.shown = true
	d.next++
}

// outerEnd passes over the end of a block. Its begin may be missing.
func (d *decider) outerEnd() {
	switch m := d.marks[d.next]; {
	// The end of a block that is open, or one right after a call whose block had no begin.
	case d.block, d.called && len(bytes.TrimSpace(d.src[d.pos:m.at])) == 0:
		d.skip()
		d.block = false
	case d.shown:
		d.shown = false
		d.next++
	default:
		d.misfit()
	}
}

// call decides about the call that begins with the next marker.
func (d *decider) call() {
	begin := d.next
	// Two real calls have nothing but white space between them.
	if d.first >= 0 && !d.blank(begin-1, begin) { // a value may hold an end, a text, and a begin
		d.misfit()
		return
	}
	end, fits := d.boundOf(begin)
	if !fits {
		d.alone(begin)
		return
	}
	if end.next == 0 {
		d.next++ // it never ends, and nothing is lost: another call begins before it holds anything
		return
	}
	d.add(begin, end)
}

// add makes a piece of the call from mark begin to end. What can't be read as a call is text.
func (d *decider) add(begin int, end callBound) {
	c, refusal, ok := parseCall(d.src[d.marks[begin].end:end.body], d.tools)
	if !ok {
		// Its markers are text, too.
		d.next = end.next
		return
	}
	d.addCall(begin, end, piece{call: c, refusal: refusal})
}

// addCall adds the piece of a call, and makes the text before it a piece. An outer begin right before it belongs to it.
func (d *decider) addCall(begin int, end callBound, p piece) {
	from := d.marks[begin].from
	if begin > 0 && d.marks[begin-1].marker == callsBegin && d.blank(begin-1, begin) {
		from = d.marks[begin-1].from
		d.block, d.shown = true, false
	}
	d.text(from)
	if d.first < 0 {
		d.first, d.before, d.from = begin, len(d.pieces), from
	}
	d.pieces = append(d.pieces, p)
	d.called = true
	d.next, d.pos = end.next, end.pos
}

// misfit handles a marker outside all calls that has no place there. After a call it must be quoted in it, or in one of
// those that follow: all that was decided since the first call was wrong.
func (d *decider) misfit() {
	if d.first < 0 {
		d.next++ // text
		return
	}
	first := d.first
	// Everything since the first call is taken back, and decided once more as one call.
	d.pieces = d.pieces[:d.before]
	d.called, d.first = false, -1
	d.pos = d.from
	d.alone(first)
}

// alone takes all that follows mark begin for one call, if no other begins in it, and otherwise for a call that is refused.
// Without any end it is text.
//
// A call that is refused here has no arguments: which text belongs to it is what can't be told.
func (d *decider) alone(begin int) {
	over := len(d.marks)
	end, ok := d.lastEnd(begin)
	for k := begin + 1; k < over; k++ {
		if d.marks[k].marker == callBegin && d.begins(k) {
			// Another call begins within it, and it can't be told which of the two is quoted.
			ok = false
		}
	}
	switch {
	// No end at all behind it: the answer was cut off, or speaks of a marker.
	case max(d.last[callEnd], d.last[callsEnd]) < begin:
		d.next = over
		return
	case ok:
		d.add(begin, end)
	default:
		c, refusal, _ := parseCall(d.upToNext(begin), d.tools)
		name := c.name
		if refusal != nil {
			name = refusal.Name
		}
		d.addCall(begin, end, piece{refusal: refuse(name, nil, whyUncertain)})
	}
	// Also when nothing could be read: the rest is not looked at again, which keeps the work
	// linear.
	d.next, d.pos = over, len(d.src)
}

// result leaves out a result that the model has made up. After a call, what follows it is left out as well: the model has
// gone on from something that never happened. A result that stands alone and has no end is text.
func (d *decider) result() {
	if d.first >= 0 {
		d.text(d.marks[d.next].from)
		d.next, d.pos = len(d.marks), len(d.src)
		return
	}
	want := resultEnd
	if d.marks[d.next].marker == resultsBegin {
		want = resultsEnd
	}
	end := d.next + 1
	// last has the last marker of each kind, so a result without an end costs no search.
	for end <= d.last[want] && d.marks[end].marker != want {
		end++
	}
	if end > d.last[want] {
		d.next++
		return
	}
	d.text(d.marks[d.next].from)
	d.next, d.pos = end+1, d.marks[end].end
}

// skip passes over the next marker and the white space before it, and makes a piece of what stands before that.
func (d *decider) skip() {
	m := d.marks[d.next]
	d.text(m.from)
	d.pos = m.end
	d.next++
}

// text makes a piece of what stands before an index. White space after a call is no text. The
// piece shares src's memory.
func (d *decider) text(to int) {
	p := d.src[d.pos:to]
	d.pos = to
	if len(p) > 0 && !(d.called && len(bytes.TrimSpace(p)) == 0) {
		d.called = false
		d.pieces = append(d.pieces, piece{text: p})
	}
}
