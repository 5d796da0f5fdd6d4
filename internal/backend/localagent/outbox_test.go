package localagent

import (
	"errors"
	"io"
	"testing"
)

// A stream that is reset must not look to upstream as if we had ended it properly.
func TestAClosedOutboxSendsNothingMore(t *testing.T) {
	o := newOutbox()
	o.put([]byte("late"))
	o.finish()
	o.Close()
	if n, err := o.Read(make([]byte, 8)); n != 0 || !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("read %d bytes, %v", n, err)
	}
	o.finish()
	if _, err := o.Read(make([]byte, 8)); !errors.Is(err, io.ErrClosedPipe) || o.waiting() != 0 {
		t.Errorf("after another end: %v, %d bytes", err, o.waiting())
	}
}

func TestAFinishedOutboxIsReadToItsEnd(t *testing.T) {
	o := newOutbox()
	o.put([]byte("ab"), nil, []byte("c"))
	o.finish()
	if o.put([]byte("late")) {
		t.Error("something could be put in after the end")
	}
	if all, err := io.ReadAll(o); err != nil || string(all) != "abc" || o.waiting() != 0 {
		t.Errorf("read %q, %v, %d bytes wait", all, err, o.waiting())
	}
}
