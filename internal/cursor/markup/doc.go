// Package markup reads what Composer writes between its words where an upstream gives its text as it is, as the older chat
// endpoint does: where thinking ends and the answer begins, and tool calls written as text.
//
// It is two streaming filters, used one after the other:
//
//	thinking field ─┐                  ┌─► reasoning
//	                ├─► ThinkingFilter ┤
//	text field ─────┘                  └─► CallFilter ─► text and calls
//
// Both are built on one scanner, which cuts a stream into plain text and markers. A filter's output does not depend on
// how the stream was cut into frames, and nothing is held back but what may still become a marker: white space (which is
// not text when a marker follows) and the beginning of a marker. A tool-call block that has begun is no longer text, and
// is kept until it ends; when it turns out not to be a call, it comes out as the text that it was.
//
// The filters take valid UTF-8 in whole characters and put out the same. They are for one goroutine.
package markup
