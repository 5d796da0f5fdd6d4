// Command pdfium writes PDFium's WebAssembly module, as the go-pdfium module has it, compressed to where the product embeds it:
// less than half of its 6 MB. It is run by go generate, in the folder of package pdftext.
package main

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

func main() {
	out := flag.String("out", "", "the file to write")
	main := flag.String("module", ".", "folder of the module that requires go-pdfium")
	flag.Parse()
	if err := run(*main, *out); err != nil {
		fmt.Fprintln(os.Stderr, "pdfium:", err)
		os.Exit(1)
	}
}

// run finds the module by go list, so the version is the one of go.mod.
func run(module, out string) error {
	list := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/klippa-app/go-pdfium")
	list.Dir = module
	dir, err := list.Output()
	if err != nil {
		return err
	}
	wasm, err := os.ReadFile(filepath.Join(string(bytes.TrimSpace(dir)), "internal", "pdfium_wasm", "pdfium.wasm"))
	if err != nil {
		return err
	}
	var b bytes.Buffer
	// The header has no name and no time, so the same module makes the same file.
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := z.Write(wasm); err != nil {
		return err
	}
	// Close writes what is left, and the checksum.
	if err := z.Close(); err != nil {
		return err
	}
	return os.WriteFile(out, b.Bytes(), 0o644)
}
