// Package known recognises what an owner has sent before.
//
// An agent sends its whole conversation with every request: a megabyte, of which the last kilobyte is new. The elements of that
// list (messages, or input items) are cut out of the body by their brackets, and found by the SHA-256 of their bytes; what was
// decoded of them then is used again. So a request costs what is new in it.
//
//	body ─► elements ─┬─ known: the value that is kept
//	                  └─ new: decoded, and kept
//
// All that is here is a short cut: a Memory may forget anything at any time, and what it gives is what decoding would give.
package known

import (
	"crypto/sha256"
	"reflect"
	"sync"
	"time"

	"composer-api/internal/lru"
)

// Config bounds a Memory.
type Config struct {
	// Bytes bounds what is kept in memory; 0 means 64 MiB.
	Bytes int
	// Least is how long an element must be to be kept; 0 means 512 bytes. Bodies of less than 32 times that are not looked at.
	Least int
}

const (
	// overhead is about what an entry takes besides the element's text: the decoded structure and the cache's own.
	overhead = 1024
	// shortBody is how many times Least a body must have at least: a short one is decoded sooner than looked through.
	shortBody = 32
	// maxAge is how long an element is kept that nobody sends. It is long for the steps of an agent, and short for a person
	// who comes back after a break, whose next request is decoded once.
	maxAge = 15 * time.Minute
)

// A Memory keeps decoded elements of many owners. Its methods may be called concurrently. Nil keeps nothing.
type Memory struct {
	// least is how long an element is, in bytes, that is worth keeping.
	least int

	mu   sync.Mutex // for single operations on the cache, never while something is decoded
	kept *lru.Cache[key, any]
}

// A key says whose element it is, what it is decoded to, and its bytes. Two surfaces may read the same bytes differently.
type key struct {
	// owner keeps what one has sent from being found by another.
	owner string
	as    reflect.Type
	// sum is of the bytes as they were sent: the same value in another spelling is another element.
	sum [sha256.Size]byte
}

// New makes an empty Memory.
func New(cfg Config) *Memory {
	if cfg.Bytes == 0 {
		cfg.Bytes = 64 << 20
	}
	if cfg.Least == 0 {
		cfg.Least = 512
	}
	return &Memory{least: cfg.Least, kept: lru.New[key, any](lru.Limits{Bytes: cfg.Bytes, Age: maxAge})}
}

// Of is what owner has sent. Nobody finds what another owner has sent.
func (m *Memory) Of(owner string) Sender { return Sender{memory: m, owner: owner} }

// A Sender is what one owner has sent. The zero Sender has sent nothing, and nothing is kept of it.
type Sender struct {
	// memory is nil for a Sender that keeps nothing.
	memory *Memory
	owner  string
}

// Decode decodes body with decode, which it calls with the body or with a shorter one, in which null stands for each known
// element of the list that is called name in the body's root object. decode must decode into something new each time, and
// return the list, in which Decode then puts the known elements.
//
// own makes a new element ready to be kept. It is used by other requests at the same time as by this one: it must share no
// memory with the body, nor be changed afterwards. size is about what it takes besides its text, which is counted as long as it
// was sent; ok is whether it can be kept.
//
// The error is decode's, for the whole body: what is wrong at which byte of a shorter one is not what the client has sent.
func Decode[T any](s Sender, body []byte, name string, decode func(body []byte) ([]T, error), own func(*T) (size int, ok bool)) error {
	m := s.memory
	if m == nil || len(body) < shortBody*m.least {
		_, err := decode(body)
		return err
	}
	list := look(s, body, name, reflect.TypeFor[T]())
	short := list.without(body)
	decoded, err := decode(short)
	switch {
	case err == nil && len(decoded) == len(list):
	case &short[0] == &body[0]:
		return err // the whole body was decoded
	default:
		_, err = decode(body)
		return err
	}
	for i := range list {
		e := &list[i]
		if e.known != nil {
			decoded[i] = *e.known.(*T)
			continue
		}
		if !e.long {
			continue
		}
		if size, ok := own(&decoded[i]); ok {
			fresh := decoded[i]
			e.fresh, e.size = &fresh, size+e.end-e.start+overhead
		}
	}
	m.keep(list)
	return nil
}

// An element of a list, as it was sent.
type element struct {
	span
	long bool // long enough to be looked up
	// key is set for long elements alone.
	key   key
	known any // *T, as it was decoded before; nil when it wasn't
	fresh any // *T, as it was decoded now, when it can be kept
	size  int // of fresh
}

// look finds the list's elements in body, and looks them up.
func look(s Sender, body []byte, name string, as reflect.Type) elementList {
	spans := elements(body, name)
	list := make(elementList, len(spans))
	for i, at := range spans {
		list[i].span = at
		if list[i].long = at.end-at.start >= s.memory.least; list[i].long {
			list[i].key = key{s.owner, as, sha256.Sum256(body[at.start:at.end])}
		}
	}
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	for i := range list {
		if list[i].long {
			list[i].known, _ = s.memory.kept.Get(list[i].key)
		}
	}
	return list
}

// keep keeps the elements that were decoded now.
func (m *Memory) keep(list elementList) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range list {
		if e := &list[i]; e.fresh != nil {
			m.kept.Put(e.key, e.fresh, e.size)
		}
	}
}

// An elementList are the elements of one list of a body, in order.
type elementList []element

// without is body with null in place of each known element; body itself when none is known.
func (l elementList) without(body []byte) []byte {
	left := len(body)
	for i := range l {
		if l[i].known != nil {
			left -= l[i].end - l[i].start - len(null)
		}
	}
	if left == len(body) {
		return body
	}
	short, from := make([]byte, 0, left), 0
	for i := range l {
		if l[i].known != nil {
			short = append(append(short, body[from:l[i].start]...), null...)
			from = l[i].end
		}
	}
	return append(short, body[from:]...)
}

// null stands in for an element that is known, because it costs the decoder next to nothing.
const null = "null"
