package sse

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"iter"
)

// An Event is one event of the stream, as a client sees it. The wire format:
//
//	event: response.created
//	id: 7
//	data: {"type":"response.created"}
//	(blank line)
type Event struct {
	Type string // "" when the stream didn't name one, which clients call "message"
	ID   string // the last id that the stream gave, this event's or an earlier one's
	Data string // the data lines, joined by newlines
}

// MaxEvent bounds what Scan takes for one line or one event, in bytes.
const MaxEvent = 32 << 20

// ErrTooLong is Scan's error for a line or an event above MaxEvent.
var ErrTooLong = errors.New("sse: event is too long")

// Scan reads events until r ends or fails; only a failure gives an error, as the last element. Lines may end in LF, CR
// LF or CR. Comments and unknown fields are skipped, and so is an event without data or without the blank line that
// ends it. An event is given as soon as its blank line has been read.
func Scan(r io.Reader) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		s := scanner{r: bufio.NewReader(r)}
		for {
			e, err := s.event()
			// An event that was not ended by a blank line is dropped, as the standard says.
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Event{}, err)
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// A scanner reads one stream. line is used again for each line, so nothing may keep it.
type scanner struct {
	// r is the stream.
	r       *bufio.Reader
	line    []byte
	begun   bool   // the first line has been read
	afterCR bool   // the last line ended in CR: an LF right after it belongs to it
	id      string // outlives its event
}

// event reads up to the end of the next event.
func (s *scanner) event() (Event, error) {
	var (
		typ  string
		data []byte
		some bool // a data line was there
	)
	for {
		if err := s.readLine(); err != nil {
			return Event{}, err
		}
		if len(s.line) == 0 {
			// Without a data line there is no event, and the type is forgotten.
			if some {
				return Event{Type: typ, ID: s.id, Data: string(data)}, nil
			}
			typ = ""
			continue
		}
		// A comment begins with the colon: its name is empty, and no case takes it.
		name, value, _ := bytes.Cut(s.line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "data":
			if some {
				data = append(data, '\n')
			}
			data, some = append(data, value...), true
			if len(data) > MaxEvent {
				return Event{}, ErrTooLong
			}
		case "event":
			typ = string(value)
		// The standard ignores an id with a NUL.
		case "id":
			if bytes.IndexByte(value, 0) < 0 {
				s.id = string(value)
			}
		}
	}
}

// readLine reads a line into s.line, without its end. A last line without an end is dropped with io.EOF.
//
// It works on what is buffered instead of byte by byte, and never waits for the byte after a CR: an
// event that ends in CR is complete, and an LF that follows is skipped when it comes.
func (s *scanner) readLine() error {
	s.line = s.line[:0]
	for {
		if _, err := s.r.Peek(1); err != nil {
			return err
		}
		// What is buffered is there, so this Peek neither waits nor fails. chunk is valid until the
		// next read.
		chunk, _ := s.r.Peek(s.r.Buffered())
		// chunk has at least a byte, or the first Peek would have failed. It may be empty after
		// this.
		if s.afterCR && chunk[0] == '\n' {
			chunk = chunk[1:]
			s.r.Discard(1)
		}
		s.afterCR = false
		end := bytes.IndexAny(chunk, "\r\n")
		if end < 0 {
			s.line = append(s.line, chunk...)
			s.r.Discard(len(chunk))
			if len(s.line) > MaxEvent {
				return ErrTooLong
			}
			continue
		}
		s.line = append(s.line, chunk[:end]...)
		s.afterCR = chunk[end] == '\r'
		s.r.Discard(end + 1)
		// A byte order mark may begin the stream.
		if !s.begun {
			s.begun = true
			s.line = bytes.TrimPrefix(s.line, []byte("\uFEFF"))
		}
		return nil
	}
}
