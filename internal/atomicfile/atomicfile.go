// Package atomicfile writes small files so that nobody ever reads half of one: into a temporary file in the same folder, which
// is then put in its place in one step.
package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Write writes the file, in place of one that is there. Its folder must exist. After an error what was there is unchanged.
func Write(path string, data []byte, mode fs.FileMode) error { return put(path, data, mode, os.Rename) }

// Create writes the file if there is none. The error wraps fs.ErrExist when there is one, which stays as it is.
func Create(path string, data []byte, mode fs.FileMode) error {
	return put(path, data, mode, os.Link)
}

// put writes a temporary file, and puts it in its place with place.
func put(path string, data []byte, mode fs.FileMode, place func(from, to string) error) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name()) // gone already after a rename
	_, err = temporary.Write(data)
	// Closed before the rename: Windows does not rename an open file.
	if err := errors.Join(err, temporary.Chmod(mode), temporary.Close()); err != nil {
		return err
	}
	return place(temporary.Name(), path)
}
