package upgrade

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
)

// mostProgram is the most that an unpacked program may have, in bytes; it has some 45 MB. The archive is signed by then, so
// the bound is for mistakes.
const mostProgram = 1 << 30

// unpack writes the program in an archive to out: a tar.gz, or for Windows a zip. It reads the archive from its beginning.
func unpack(archive *os.File, goos string, out io.Writer) error {
	if goos == windows {
		return unzip(archive, out)
	}
	return untar(archive, out)
}

// untar copies the program out of a .tar.gz. Nothing is unpacked into a folder, so no name in the archive leads anywhere.
func untar(archive *os.File, out io.Writer) error {
	if _, err := archive.Seek(0, io.SeekStart); err != nil {
		return err
	}
	plain, err := gzip.NewReader(archive)
	if err != nil {
		return err
	}
	files := tar.NewReader(plain)
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return errors.New("there is no program in it")
		}
		if err != nil {
			return err
		}
		// A link of that name is not the program.
		if header.Name == name && header.Typeflag == tar.TypeReg {
			return copyProgram(out, files)
		}
	}
}

// unzip does the same with a .zip, which Windows' releases are.
func unzip(archive *os.File, out io.Writer) error {
	info, err := archive.Stat()
	if err != nil {
		return err
	}
	files, err := zip.NewReader(archive, info.Size())
	if err != nil {
		return err
	}
	for _, file := range files.File {
		if file.Name != name+".exe" {
			continue
		}
		in, err := file.Open()
		if err != nil {
			return err
		}
		defer in.Close()
		return copyProgram(out, in)
	}
	return errors.New("there is no program in it")
}

// copyProgram copies a program within its bound.
func copyProgram(out io.Writer, in io.Reader) error {
	n, err := io.Copy(out, io.LimitReader(in, mostProgram+1))
	if err == nil && n > mostProgram {
		err = fmt.Errorf("the program is longer than %d bytes", mostProgram)
	}
	return err
}
