// Package pdftext takes the text out of PDF files.
//
// A PDF comes from whoever may send a request, and reading one is a program of its own: so it is read by PDFium, which
// browsers read them with, compiled to WebAssembly and interpreted. What a file does there can neither reach beyond its
// memory, which is bounded, nor outlast its time. That costs half a second and about 170 MB for each file, more for a large one, and
// a fifth of a second for a page of text; nothing of it stays. One file is read at a time, the owners of files in
// turn; texts are remembered, because clients send a file again with every request of a conversation.
package pdftext

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	pdfiumerrors "github.com/klippa-app/go-pdfium/errors"
	"github.com/klippa-app/go-pdfium/requests"
	"github.com/klippa-app/go-pdfium/webassembly"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"composer-api/internal/agent"
	"composer-api/internal/gateway/gate"
	"composer-api/internal/lru"
)

// Config bounds what a Reader does. The zero value is right for everything but tests.
type Config struct {
	// Timeout is how long the reading of one file may take; 0 means 30 s.
	Timeout time.Duration
	// Wait is how long a file waits for others; 0 means a minute.
	Wait time.Duration
	// Memory bounds what the reading of one file may take, in bytes, all in all; 0 means as much as the largest may take. With less
	// than LeastMemory no file is read.
	Memory int64
}

const (
	// maxText bounds the text of one file, in bytes: it is more than any model takes.
	maxText = 4 << 20
	// maxRemembered bounds the texts that are remembered, in bytes, and maxAge how long.
	maxRemembered = 32 << 20
	// maxAge counts from the last use.
	maxAge = time.Hour
	// page is WebAssembly's, in bytes. maxPages bounds the memory that a file may use, 256 MiB. The least is for a file of some
	// megabytes; PDFium itself begins with 289 pages.
	page               = 64 << 10
	maxPages, minPages = 4096, 400
	// machine is what reading takes beside that memory, in bytes: the code, above all. Measured.
	machine = 140 << 20
	// perPage is what a page takes at most, in bytes: memory that grows is copied, to a place that is larger by a quarter.
	perPage = page * 9 / 4
)

// LeastMemory is what Config.Memory has to be for files to be read at all, in bytes.
const LeastMemory int64 = machine + minPages*perPage

// A Reader reads PDF files. It is safe for concurrent use.
//
//	turns   of who wants to read a file, the owners one after the other
//	texts   what files gave, errors included, by the SHA-256 of their bytes
//
// It has nothing to close: the machine of a file is gone when extract returns.
type Reader struct {
	// cfg has its defaults filled in.
	cfg     Config
	turns   *gate.Gate                                             // for one file
	extract func(ctx context.Context, data []byte) (string, error) // the function extract, but for tests

	mu    sync.Mutex // guards texts
	texts *lru.Cache[[sha256.Size]byte, result]
}

// A result is what a file gave: its text, or an error that it gives each time. Errors are kept,
// too: a client sends the same damaged file again with each request. It holds no name of a
// field: the same file may come in another field the next time.
type result struct {
	// One of both is set.
	text string
	err  *agent.Error
}

// New makes a Reader.
func New(cfg Config) *Reader {
	cfg.Timeout = cmp.Or(cfg.Timeout, 30*time.Second)
	cfg.Wait = cmp.Or(cfg.Wait, time.Minute)
	cfg.Memory = cmp.Or(cfg.Memory, machine+maxPages*perPage)
	pages := uint32(min(maxPages, max(0, cfg.Memory-machine)/perPage))
	return &Reader{
		cfg: cfg, turns: gate.New(1, 1), extract: func(ctx context.Context, data []byte) (string, error) { return extract(ctx, data, pages) },
		texts: lru.New[[sha256.Size]byte, result](lru.Limits{Bytes: maxRemembered, Age: maxAge}),
	}
}

// Read is the text of a file of owner's. Errors are *agent.Error about the file, or say that there is no time for it now.
//
// A file that took too long is remembered as such: another attempt would take as long, and keep
// others waiting.
//
// It takes at most Wait and Timeout together, and less when ctx ends.
func (r *Reader) Read(ctx context.Context, owner string, f *agent.File) (string, error) {
	if r.cfg.Memory < LeastMemory {
		return "", agent.ParamError(agent.UnsupportedValue, f.Param, "This server has too little memory to read PDF files. Send the text of the file, or its pages as images.")
	}
	key := sha256.Sum256(f.Data)
	if known, ok := r.recall(key); ok {
		return known.of(f)
	}
	wait, cancel := context.WithTimeout(ctx, r.cfg.Wait)
	defer cancel()
	leave, err := r.turns.Enter(wait, owner, 1)
	if err != nil {
		if ctx.Err() != nil {
			return "", &agent.Error{Code: agent.Canceled, Err: ctx.Err()}
		}
		return "", &agent.Error{Code: agent.Overloaded, Param: f.Param, RetryAfter: 10 * time.Second, Message: "The server is busy with other PDF files. Please try again."}
	}
	defer leave()
	if known, ok := r.recall(key); ok { // who waited for the same
		return known.of(f)
	}
	limit, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	text, err := r.extract(limit, f.Data)
	if ctx.Err() != nil {
		return "", &agent.Error{Code: agent.Canceled, Err: ctx.Err()}
	}
	res := result{text: text}
	if err != nil {
		res = result{err: r.fault(limit, err)}
	}
	r.remember(key, res)
	return res.of(f)
}

// of is the result for a file. An error gets the field's name of this request; the kept one has none.
func (res *result) of(f *agent.File) (string, error) {
	if res.err == nil {
		return res.text, nil
	}
	e := *res.err
	e.Param = f.Param
	return "", &e
}

// recall is what the file with this hash gave before. A hit keeps it longer.
func (r *Reader) recall(key [sha256.Size]byte) (result, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.texts.Get(key)
}

// remember keeps what a file gave, its error included.
func (r *Reader) remember(key [sha256.Size]byte, res result) {
	const overhead = 200 // of an entry without a text
	r.mu.Lock()
	defer r.mu.Unlock()
	r.texts.Put(key, res, len(res.text)+overhead)
}

// Why a file that could be read has no text for the model.
var (
	errNoText   = errors.New("pdftext: there is no text in it")
	errTooLarge = errors.New("pdftext: there is too much text in it")
)

// fault is what an error of extract says to the user.
//
// limit is the context of the reading: if it has ended, that explains whatever the error says.
// The code is InvalidValue for all: it is the file that has to be another one.
func (r *Reader) fault(limit context.Context, err error) *agent.Error {
	message := "The PDF can't be read: it is damaged, no PDF, or takes more memory than there is for it. Send another file, or its text."
	switch {
	case limit.Err() != nil:
		message = fmt.Sprintf("The PDF takes longer than %s to read. Send the pages that matter, or their text.", r.cfg.Timeout)
	case errors.Is(err, errNoText):
		message = "The PDF holds no text: it may be a scan. Send its pages as images."
	case errors.Is(err, errTooLarge):
		message = fmt.Sprintf("The PDF holds more than %d MB of text. Send the pages that matter.", maxText>>20)
	case errors.Is(err, pdfiumerrors.ErrPassword), errors.Is(err, pdfiumerrors.ErrSecurity):
		message = "The PDF is protected by a password. Send it without."
	}
	return &agent.Error{Code: agent.InvalidValue, Message: message, Err: err}
}

// extract reads a file in a machine of its own, which is gone when it returns. When ctx ends, the machine stops.
//
// The text of the pages is joined with empty lines between them. Errors are PDFium's,
// errNoText, errTooLarge, or the end of ctx; fault puts them into words.
//
// A panic of the library is an error of this file, and so is the end of its memory, of which it may use so many pages. data is not
// changed.
func extract(ctx context.Context, data []byte, pages uint32) (text string, err error) {
	defer agent.CatchPanic(func(panicked *agent.Error) { err = panicked })
	wasm, err := module()
	if err != nil {
		return "", err
	}
	pool, err := webassembly.InitWithWASM(webassembly.Config{
		Context: ctx, MaxIdle: 1, MaxTotal: 1, WASM: wasm,
		// The compiler would take five seconds and twice the memory first. Exceptions are what PDFium is compiled with.
		RuntimeConfig: wazero.NewRuntimeConfigInterpreter().
			WithCoreFeatures(api.CoreFeaturesV2 | experimental.CoreFeaturesExceptionHandling).
			WithMemoryLimitPages(pages).WithCloseOnContextDone(true),
	})
	if err != nil {
		return "", err
	}
	defer pool.Close()
	instance, err := pool.GetInstanceWithContext(ctx)
	if err != nil {
		return "", err
	}
	defer instance.Close()
	doc, err := instance.OpenDocument(&requests.OpenDocument{File: &data})
	if err != nil {
		return "", err
	}
	count, err := instance.FPDF_GetPageCount(&requests.FPDF_GetPageCount{Document: doc.Document})
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for i := range count.PageCount {
		page, err := instance.GetPageText(&requests.GetPageText{Page: requests.Page{ByIndex: &requests.PageByIndex{Document: doc.Document, Index: i}}})
		if err != nil {
			return "", err
		}
		if b.Len() > 0 {
			b.WriteString("\n\n")
		}
		b.WriteString(strings.TrimSpace(strings.ReplaceAll(page.Text, "\r\n", "\n")))
		if b.Len() > maxText {
			return "", errTooLarge
		}
	}
	text = strings.ToValidUTF8(strings.TrimSpace(b.String()), "\uFFFD")
	if text == "" {
		return "", errNoText
	}
	return text, nil
}
