package localagent

import "testing"

func TestABlobThatIsSetAgainTakesNoMoreRoom(t *testing.T) {
	b := blobs{max: 10_000}
	data := make([]byte, 1000)
	for i := range 50 {
		if !b.set([]byte("same id"), data) {
			t.Fatalf("after %d times the same blob there is no room: size %d of %d", i, b.size, b.max)
		}
	}
	if want := len("same id") + len(data) + blobOverhead; b.size != want {
		t.Errorf("size %d, want %d", b.size, want)
	}
	if want := len("same id") + 1 + blobOverhead; !b.set([]byte("same id"), data[:1]) || b.size != want {
		t.Errorf("a smaller one: size %d, want %d", b.size, want)
	}
}

func TestABlobThatDoesNotFitTakesNoRoom(t *testing.T) {
	b := blobs{max: 10_000}
	if b.set([]byte("huge"), make([]byte, 20_000)) || b.size != 0 || !b.full {
		t.Fatalf("a blob larger than the room: size %d, full %v", b.size, b.full)
	}
	if !b.set([]byte("small"), []byte("x")) {
		t.Errorf("there is no room for a small one: size %d of %d", b.size, b.max)
	}
}
