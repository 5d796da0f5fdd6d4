// Package markup reads the markers that Composer writes into its text, where an upstream passes that text on as
// it is, as the older chat endpoint does: where thinking ends and the answer begins, and tool calls written as
// text.
//
// It is two streaming filters, used one after the other:
//
//	thinking field ─┐                  ┌─► reasoning
//	                ├─► ThinkingFilter ┤
//	text field ─────┘                  └─► CallFilter ─► text and calls
//
// Both are built on one scanner, which cuts a stream into plain text and markers. A filter's output does not depend on
// how the stream was cut into frames, and nothing is held back but what may still become a marker: white space (which is
// not text when a marker follows) and the beginning of a marker. From the begin of a tool call on, all is kept until the
// stream ends: where a call ends is certain then only, because its values may hold markers themselves.
//
//	marker.go    the scanner               thinking.go            the first filter
//	block.go     the second filter         decide.go, reader.go   which calls there are, and where they end
//	body.go      what a call says          expression.go, arguments.go, schema.go, toolbox.go   its forms and values
//	write.go     a call, as it is read
//
// The filters take valid UTF-8 in whole characters and put out the same. They are for one goroutine.
package markup
