package lru

import (
	"testing"
	"testing/synctest"
	"time"
)

func has(c *Cache[string, int], key string) bool {
	_, ok := c.Get(key)
	return ok
}

func TestTheEntryThatWasUsedLongestAgoLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New[string, int](Limits{Count: 2, Bytes: 20, Age: time.Hour})
		c.Put("a", 1, 1)
		c.Put("b", 2, 1)
		has(c, "a")
		c.Put("c", 3, 1)
		if !has(c, "a") || has(c, "b") || !has(c, "c") {
			t.Error("count: b should have left, and nothing else")
		}
		c.Put("d", 4, 20)
		if has(c, "a") || has(c, "c") || !has(c, "d") || c.Bytes() != 20 {
			t.Errorf("bytes: %d are kept", c.Bytes())
		}
		time.Sleep(time.Hour)
		if !has(c, "d") { // which uses it
			t.Error("age: d left too soon")
		}
		time.Sleep(time.Hour + 1)
		if has(c, "d") || c.Len() != 0 || c.Bytes() != 0 || len(c.byKey) != 0 {
			t.Error("age: d is still there")
		}
	})
}

func TestAValueTakesThePlaceOfTheOneBefore(t *testing.T) {
	c := New[string, int](Limits{Bytes: 10})
	c.Put("a", 1, 6)
	c.Put("a", 2, 7)
	if v, ok := c.Get("a"); !ok || v != 2 || c.Len() != 1 || c.Bytes() != 7 {
		t.Errorf("%d, %v; %d entries, %d bytes", v, ok, c.Len(), c.Bytes())
	}
	c.Delete("a")
	c.Delete("a")
	if c.Len() != 0 || c.Bytes() != 0 {
		t.Errorf("deleted: %d entries, %d bytes", c.Len(), c.Bytes())
	}
}

func TestWhatIsLargerThanTheRoomIsNotKept(t *testing.T) {
	c := New[string, int](Limits{Bytes: 10})
	c.Put("a", 1, 11)
	if has(c, "a") || c.Bytes() != 0 {
		t.Errorf("%d bytes are kept", c.Bytes())
	}
	c.Put("a", 1, 4)
	c.Put("b", 2, 4)
	c.Put("b", 3, 11)
	if !has(c, "a") || has(c, "b") || c.Bytes() != 4 {
		t.Errorf("the value that is too large took others with it: %d bytes are kept", c.Bytes())
	}
}

func TestWithoutLimitsEverythingStays(t *testing.T) {
	c := New[int, int](Limits{})
	for i := range 1000 {
		c.Put(i, i, 1<<20)
	}
	if c.Len() != 1000 {
		t.Errorf("%d of 1000 are kept", c.Len())
	}
}
