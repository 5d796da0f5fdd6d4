package connectwire

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

// defaultLimit is the largest payload that a [Reader] accepts by default, in bytes: a blob or a checkpoint
// of a long conversation fits well.
const defaultLimit = 64 << 20

// A Reader reads the envelopes of a stream. It is for one goroutine at a time. It owns nothing that needs
// closing; the caller closes the source.
//
// Ten thousand streams may be waiting at once, so a Reader holds memory only while it has something to
// hold:
//
//	waiting                       64 bytes, in the Reader
//	something is buffered         a pooled buffer of 4 KiB
//	a payload that doesn't fit    memory of its own, until the next envelope
//	a compressed payload          a buffer that is used again, up to 16 KiB
//
// [Reader.Idle] releases even that.
//
// After the first error it is of no more use: every call returns that error again.
type Reader struct {
	// src and limit are set by NewReader. limit is for a payload, in bytes, also once it is decompressed.
	src   io.Reader
	limit int

	buf        *[]byte // pooled; nil while nothing is buffered
	start, end int     // what is buffered: buf[start:end]
	big        []byte  // the last payload, when it didn't fit into buf
	unzipped   []byte  // the last payload, when it was compressed
	// first takes the first bytes that arrive after a wait, before there is a pooled buffer.
	first [64]byte
	err   error // what Next says from now on
}

// NewReader makes a Reader. A payload of more than limit bytes, before or after decompression, is an
// error; 0 means [defaultLimit].
func NewReader(src io.Reader, limit int) *Reader {
	if limit <= 0 {
		limit = defaultLimit
	}
	return &Reader{src: src, limit: limit}
}

// Next returns the next message, decompressed. It is valid until the next call.
//
// The end of the stream is an error, which every later call returns again:
//
//	io.EOF                a good end-of-stream envelope
//	*Error                an end-of-stream envelope with an error
//	io.ErrUnexpectedEOF   the bytes ended without such an envelope
//	*FormatError          the bytes make no sense
//	anything else         the source's error
func (r *Reader) Next() ([]byte, error) {
	flags, payload, err := r.Envelope()
	if err != nil {
		return nil, err
	}
	if flags&EndOfStream == 0 {
		return payload, nil
	}
	r.err = parseEnd(payload)
	r.release()
	return nil, r.err
}

// Envelope is Next without interpretation: it returns every envelope, the end-of-stream one
// included, with its payload decompressed. The payload is valid until the next call. package
// bridgeserver uses it to pass envelopes on.
func (r *Reader) Envelope() (flags byte, payload []byte, err error) {
	if r.err != nil {
		return 0, nil, r.err
	}
	flags, payload, err = r.envelope()
	if err != nil {
		r.err = err
		r.release()
	}
	return flags, payload, err
}

// Buffered reports whether Next would return at once, without reading from the source. A caller uses it
// to send what it has before it waits.
//
// An end-of-stream envelope and one that will be an error count, too: Next returns at once with them.
func (r *Reader) Buffered() bool {
	if r.err != nil {
		return true
	}
	n := r.end - r.start
	if n < HeaderLen {
		return false
	}
	return n-HeaderLen >= int(binary.BigEndian.Uint32((*r.buf)[r.start+1:]))
}

// Peek returns the next message without consuming it, if it is buffered whole and needs no decompression.
// It is valid until the next call of Next, and what Next returned before stays valid. The end of the
// stream is no message.
func (r *Reader) Peek() (message []byte, ok bool) {
	if r.err != nil || !r.Buffered() {
		return nil, false
	}
	envelope := (*r.buf)[r.start:r.end]
	size := int64(binary.BigEndian.Uint32(envelope[1:]))
	if envelope[0] != 0 || size > int64(r.limit) {
		return nil, false
	}
	return envelope[HeaderLen : HeaderLen+size], true
}

// AtEnd reports whether the end of the stream is what Next would find, without reading from the source.
func (r *Reader) AtEnd() bool {
	return r.err != nil || r.Buffered() && (*r.buf)[r.start]&EndOfStream != 0
}

// Idle releases the buffers, if nothing is in them, until something arrives: for a stream that is
// expected to be quiet for a long time. What Next returned before is no longer valid.
func (r *Reader) Idle() {
	r.big, r.unzipped = nil, nil
	if r.start == r.end {
		r.release()
	}
}

// envelope takes the next envelope from the buffer or the source. Any error ends the stream.
// The length is checked before anything of the payload is read, so a header can't make us
// allocate more than limit.
func (r *Reader) envelope() (byte, []byte, error) {
	r.big = nil
	if err := r.need(HeaderLen); err != nil {
		return 0, nil, err
	}
	header := (*r.buf)[r.start:]
	flags, size := header[0], int64(binary.BigEndian.Uint32(header[1:]))
	switch {
	// Other flags may change what the payload means, so they can't be ignored.
	case flags&^(Compressed|EndOfStream) != 0:
		return 0, nil, formatErrorf("envelope has unknown flags %#02x", flags)
	case size > int64(r.limit):
		return 0, nil, formatErrorf("envelope of %d bytes is over the limit of %d", size, r.limit)
	}
	payload, err := r.payload(int(size))
	if err != nil {
		return 0, nil, err
	}
	// An empty payload needs no gzip around it, and some servers leave it out.
	if flags&Compressed != 0 && len(payload) > 0 {
		payload, err = r.unzip(payload)
	}
	return flags, payload, err
}

// payload consumes the header and the n bytes behind it. A small payload is a slice of the buffer, a
// large one has memory of its own.
func (r *Reader) payload(n int) ([]byte, error) {
	if HeaderLen+n <= len(*r.buf) {
		if err := r.need(HeaderLen + n); err != nil {
			return nil, truncated(err)
		}
		p := (*r.buf)[r.start+HeaderLen : r.start+HeaderLen+n]
		r.start += HeaderLen + n
		return p, nil
	}
	// The buffer grows with what really arrives, so that a header which lies about its length costs nothing.
	r.start += HeaderLen
	var big bytes.Buffer
	big.Grow(min(n, 64<<10))
	have := copyAtMost(&big, (*r.buf)[r.start:r.end], n)
	r.start += have
	if _, err := io.CopyN(&big, r.src, int64(n-have)); err != nil {
		return nil, truncated(err)
	}
	r.big = big.Bytes()
	return r.big, nil
}

// need buffers at least n bytes, which must fit into the buffer. When the source ends it returns
// io.ErrUnexpectedEOF, also when nothing of an envelope is there: a stream must end with an
// end-of-stream envelope.
func (r *Reader) need(n int) error {
	for r.end-r.start < n {
		if err := r.fill(); err != nil {
			return truncated(err)
		}
	}
	return nil
}

// fill reads once from the source, into the buffer. It moves what is buffered to the front when the room
// behind it gets small.
func (r *Reader) fill() error {
	if r.buf == nil {
		// Waiting costs no pooled buffer: the first bytes come into the Reader itself.
		n, err := r.src.Read(r.first[:])
		if n == 0 {
			return noProgress(err)
		}
		r.buf = buffers.Get().(*[]byte)
		r.start, r.end = 0, copy(*r.buf, r.first[:n])
		return nil
	}
	buf := *r.buf
	switch {
	case r.start == r.end:
		r.start, r.end = 0, 0
	case r.end == len(buf) || r.start > len(buf)/2:
		r.end = copy(buf, buf[r.start:r.end])
		r.start = 0
	}
	n, err := r.src.Read(buf[r.end:])
	if n == 0 {
		return noProgress(err)
	}
	r.end += n
	return nil
}

// release returns the pooled buffer, and forgets what is in it.
func (r *Reader) release() {
	if r.buf != nil {
		buffers.Put(r.buf)
		r.buf = nil
	}
	r.start, r.end = 0, 0
}

// unzip decompresses a payload, up to the limit. The result is valid until the next envelope.
//
// The bound is on what comes out: a small payload can decompress to a huge one.
func (r *Reader) unzip(payload []byte) ([]byte, error) {
	z := unzippers.Get().(*gzip.Reader)
	defer unzippers.Put(z)
	if err := z.Reset(bytes.NewReader(payload)); err != nil {
		return nil, formatErrorf("compressed envelope: %v", err)
	}
	out := bytes.NewBuffer(r.unzipped[:0])
	n, err := io.Copy(out, io.LimitReader(z, int64(r.limit)+1))
	switch {
	case err != nil:
		return nil, formatErrorf("compressed envelope: %v", err)
	case n > int64(r.limit):
		return nil, &FormatError{TooLarge: true, Reason: fmt.Sprintf("envelope is over the limit of %d bytes once decompressed", r.limit)}
	}
	if out.Cap() <= maxKept {
		r.unzipped = out.Bytes()
	}
	return out.Bytes(), nil
}

// bufferSize is enough for the envelopes of a streamed answer, many at a time.
const bufferSize = 4 << 10

// maxKept is the largest decompression buffer that a Reader keeps for the next envelope.
const maxKept = 16 << 10

// buffers and unzippers are shared by all Readers. A buffer has bufferSize bytes. A gzip.Reader is about
// 40 KB, which is why they are shared.
var buffers = sync.Pool{New: func() any { b := make([]byte, bufferSize); return &b }}

// unzippers are shared by all Readers: one has 40 KB of tables, which a stream that waits must not keep.
var unzippers = sync.Pool{New: func() any { return new(gzip.Reader) }}

// copyAtMost writes at most n bytes of src to dst, and returns how many.
func copyAtMost(dst *bytes.Buffer, src []byte, n int) int {
	if len(src) > n {
		src = src[:n]
	}
	dst.Write(src)
	return len(src)
}

// truncated turns io.EOF into io.ErrUnexpectedEOF, for a source that ends inside a stream.
func truncated(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// noProgress is err, or io.ErrNoProgress for a source that returned neither bytes nor an error. Without
// it such a source would keep us in a loop.
func noProgress(err error) error {
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}
