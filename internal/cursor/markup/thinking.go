package markup

// A ThinkingFilter separates reasoning from the answer. The thinking field is reasoning up to a marker (</think>
// or <|final|>) and answer after it; without a marker it is all reasoning. The text field is answer.
//
//	field      piece                    becomes
//	thinking   "Let me see. </think>"   reasoning "Let me see."
//	thinking   "It is 4."               text
//	text       "<|final|>It is 4."      text "It is 4."
//
// When several markers come, the last one counts, as far as a stream allows: what follows the first is passed on
// as text at once and can't be taken back. A marker right after a marker is dropped, and so is one that opens the
// text field. It is for one goroutine.
//
//	answered   the thinking field is past its marker; text of the other field sets it back
//	opened     the text field has begun: from now on its markers are text
type ThinkingFilter struct {
	// Reasoning and Text take the pieces, which are never empty and valid during the call only.
	Reasoning, Text func([]byte)

	// Each field has a scanner of its own: a marker is never cut in two by a change of fields.
	thinking scanner
	answer   scanner
	answered bool // the thinking field has reached the answer
	opened   bool // the text field has begun
}

// WriteThinking takes the next piece of the thinking field. What the text field has held back
// comes first, so that the order of the answer stays.
func (f *ThinkingFilter) WriteThinking(p []byte) {
	if len(p) == 0 {
		return
	}
	f.flushAnswer()
	f.thinking.shapes = thinkingShapes
	f.thinking.write(p, func(t token) {
		if t.marker != noMarker {
			f.answered = true
			return
		}
		f.think(t.raw)
	})
}

// WriteText takes the next piece of the text field.
func (f *ThinkingFilter) WriteText(p []byte) {
	if len(p) == 0 {
		return
	}
	f.flushThinking()
	f.answered = false // should thinking come again, it is reasoning again
	if f.opened {
		f.emit(p)
		return
	}
	f.answer.shapes = thinkingShapes
	f.answer.write(p, func(t token) {
		if t.marker != noMarker && !f.opened {
			return
		}
		f.emit(t.space)
		f.emit(t.raw)
	})
	if f.opened {
		f.flushAnswer()
	}
}

// End ends the stream and passes on what is held back.
func (f *ThinkingFilter) End() {
	f.flushThinking()
	f.flushAnswer()
}

// flushThinking and flushAnswer pass on what a field has held back. A marker isn't split over two fields: when a piece of
// the other field comes, what one has held back was no marker.
func (f *ThinkingFilter) flushThinking() { f.think(f.thinking.flush()) }
func (f *ThinkingFilter) flushAnswer()   { f.emit(f.answer.flush()) }

// think passes on a piece of the thinking field, which is answer after a marker.
func (f *ThinkingFilter) think(p []byte) {
	switch {
	case len(p) == 0:
	case f.answered:
		f.Text(p)
	default:
		f.Reasoning(p)
	}
}

// emit passes on a piece of the text field.
func (f *ThinkingFilter) emit(p []byte) {
	if len(p) > 0 {
		f.opened = true
		f.Text(p)
	}
}
