package pdftext

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"io"
)

// PDFium's WebAssembly module is embedded compressed: it is 6 MB, and most servers never read a PDF. go-pdfium embeds it as it
// is, unless it is given one (InitWithWASM).

//go:generate go -C ../../../tools run ./pdfium -module .. -out ../internal/gateway/pdftext/pdfium.wasm.gz

//go:embed pdfium.wasm.gz
var compressedModule []byte

// module is PDFium's WebAssembly module. It takes some 40 ms, a tenth of what a file costs.
func module() ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(compressedModule))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}
