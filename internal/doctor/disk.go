package doctor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// How many bytes have to be free: a database writes its log first, and a bridge keeps what was said.
const (
	roomTight = 512 << 20 // is told
	roomNone  = 16 << 20  // breaks something
)

// disk looks for room where files are written, and whether they can be written.
func disk(_ context.Context, s *Subject, r *report) {
	for _, f := range s.Folders {
		// The folder may not be there yet. The nearest one above it is on the same disk.
		there := nearest(f.Path)
		// Where the number is not known, only the file that probe writes tells.
		free, known := s.Free(there)
		err := probe(there)
		switch {
		// What a quota leaves is not in the number of free bytes, and shows only when something is
		// written.
		case errors.Is(err, syscall.ENOSPC) || known && free < roomNone:
			r.broken("make room ('"+roomOn(there)+"' shows what is left), or "+f.Cure, "the disk for %s is full: %s", f.What, f.Path)
		case err != nil:
			r.broken("give this user the folder ('"+ownerOf(there)+"' shows whose it is), or "+f.Cure, "nothing can be written where %s is to be: %v", f.What, err)
		case known && free < roomTight:
			r.warn("make room ('"+roomOn(there)+"' shows what is left), or "+f.Cure, "there are only %d MB left for %s: %s", free>>20, f.What, f.Path)
		default:
			r.ok("there is room for %s", f.What)
		}
	}
}

// nearest is the folder itself, or the nearest one above it that exists.
func nearest(folder string) string {
	for {
		if info, err := os.Stat(folder); err == nil && info.IsDir() {
			return folder
		}
		above := filepath.Dir(folder)
		if above == folder {
			return folder
		}
		folder = above
	}
}

// probe writes a small file, and removes it: a quota or a mode shows in nothing else.
func probe(folder string) error {
	// A name of its own each time, so two doctors at once don't meet.
	file, err := os.CreateTemp(folder, ".composer-api-doctor-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	// A page: an empty file would fit on a full disk.
	_, err = file.Write(make([]byte, 4096))
	return errors.Join(err, file.Close())
}

// roomOn is a command that shows how much room is left where a folder lies.
func roomOn(folder string) string {
	if runtime.GOOS == "windows" {
		return "dir " + folder // its last line
	}
	return "df -h " + folder
}

// ownerOf is a command that shows who may write into a folder.
func ownerOf(folder string) string {
	if runtime.GOOS == "windows" {
		return "icacls " + folder
	}
	return "ls -ld " + folder
}
