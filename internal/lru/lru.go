// Package lru is a cache that keeps what was used last.
//
// It is bounded in the number of its entries, in their bytes and in their age. What is over a bound is
// dropped, the entry that was used longest ago first. There is no timer: old entries are dropped at the
// next call of any method.
//
// A Cache has no lock of its own: its users have one for what the entries mean.
package lru

import (
	"container/list"
	"time"
)

// Limits bound a Cache. A zero field is no bound.
type Limits struct {
	Count int           // entries
	Bytes int           // of all entries, as they were given to Put
	Age   time.Duration // since an entry was used last
}

// A Cache maps keys to values. Make it with New. It must not be used concurrently.
type Cache[K comparable, V any] struct {
	// limits don't change. bytes is the sum of the sizes of all entries.
	limits Limits
	byKey  map[K]*list.Element
	recent *list.List // of *entry[K, V], used last in front
	bytes  int
}

// An entry is one value in the cache, and when it was used last.
type entry[K comparable, V any] struct {
	key   K
	value V
	// size is what Put was told, in bytes.
	size int
	used time.Time
}

// New makes an empty Cache.
func New[K comparable, V any](limits Limits) *Cache[K, V] {
	return &Cache[K, V]{limits: limits, byKey: map[K]*list.Element{}, recent: list.New()}
}

// Get returns the value under key, and counts as a use of it.
func (c *Cache[K, V]) Get(key K) (value V, ok bool) {
	c.makeRoom()
	e, ok := c.byKey[key]
	if !ok {
		return value, false
	}
	found := c.entry(e)
	found.used = time.Now()
	c.recent.MoveToFront(e)
	return found.value, true
}

// Put keeps value under key, in place of what was there. size is about how many bytes it takes; a value
// that is larger than the whole cache may be isn't kept, and costs no other entry its place.
func (c *Cache[K, V]) Put(key K, value V, size int) {
	c.Delete(key)
	if c.limits.Bytes > 0 && size > c.limits.Bytes {
		return
	}
	c.byKey[key] = c.recent.PushFront(&entry[K, V]{key: key, value: value, size: size, used: time.Now()})
	c.bytes += size
	c.makeRoom()
}

// Delete drops the entry under key, if there is one.
func (c *Cache[K, V]) Delete(key K) {
	if e, ok := c.byKey[key]; ok {
		c.drop(e)
	}
}

// Len is the number of entries that are not too old.
func (c *Cache[K, V]) Len() int {
	c.makeRoom()
	return c.recent.Len()
}

// Bytes is the size of all entries that are not too old.
func (c *Cache[K, V]) Bytes() int {
	c.makeRoom()
	return c.bytes
}

// entry is the list element's value.
func (c *Cache[K, V]) entry(e *list.Element) *entry[K, V] { return e.Value.(*entry[K, V]) }

// drop removes an entry from the list, the map and the count of bytes.
func (c *Cache[K, V]) drop(e *list.Element) {
	gone := c.entry(e)
	c.recent.Remove(e)
	delete(c.byKey, gone.key)
	c.bytes -= gone.size
}

// makeRoom drops, from the back of the list, what is too old, and then as much as is over the bounds on
// count and bytes. The back is the entry that was used longest ago, so when it is fine all others are.
func (c *Cache[K, V]) makeRoom() {
	for e := c.recent.Back(); e != nil; e = c.recent.Back() {
		old := c.limits.Age > 0 && time.Since(c.entry(e).used) > c.limits.Age
		many := c.limits.Count > 0 && c.recent.Len() > c.limits.Count
		large := c.limits.Bytes > 0 && c.bytes > c.limits.Bytes
		if !old && !many && !large {
			return
		}
		c.drop(e)
	}
}
