package pages

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"

	"composer-api/internal/agent"
	"composer-api/internal/api"
)

// The files that pages refer to. Their address holds a hash of all of them, so they may be
// cached for ever and an upgrade is seen at once.

// static holds the style sheets, scripts and pictures. What is built by other tools (the playground) is committed here.
//
//go:embed static
var static embed.FS

// assets are the files below static. They never change while the program runs.
//
//	static/style.css    ►  /assets/3f2a…/style.css
//
// After an upgrade every address is a new one.
type assets struct {
	// hash names the state of all files together. One name for all lets them refer to each other by relative addresses.
	hash  string
	files map[string]*asset // by path below static
}

// An asset is a file, and its compressed forms once somebody has asked for them. The compressed
// forms are made once and then shared by all requests, which only read them.
//
// Nothing is compressed before somebody asks: most programs that use this package never serve a
// page.
type asset struct {
	contentType string
	plain       []byte
	gzip, zstd  func() []byte // compute once, then remember; nil for what is compressed already
}

// newAsset makes an asset of data, which must not change.
func newAsset(contentType string, data []byte) *asset {
	return &asset{
		contentType: contentType, plain: data,
		gzip: sync.OnceValue(func() []byte { return gzipped(data) }),
		zstd: sync.OnceValue(func() []byte { return zstandard(data) }),
	}
}

// contentTypes are the kinds of files there are. A file of another kind is a mistake of ours, which stops newAssets.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
	".txt": "text/plain; charset=utf-8",
}

// newAssets reads the files of a folder called static. It fails only if the program was built wrongly.
//
// Walking is in the order of the names, so equal files give an equal hash on every machine.
func newAssets(folder fs.FS) (*assets, error) {
	a := &assets{files: map[string]*asset{}}
	sum := sha256.New()
	err := fs.WalkDir(folder, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(folder, name)
		if err != nil {
			return err
		}
		contentType, known := contentTypes[path.Ext(name)]
		if !known {
			return fmt.Errorf("%s is of a kind that is not served", name)
		}
		// Name and length first, so that text which moves from one file to the next changes the
		// hash.
		fmt.Fprintf(sum, "%s\x00%d\x00", name, len(data))
		sum.Write(data)
		a.files[strings.TrimPrefix(name, "static/")] = newAsset(contentType, data)
		return nil
	})
	a.hash = hex.EncodeToString(sum.Sum(nil)[:8])
	return a, err
}

// path is where a file is served, below the root of the server. A name that doesn't exist is a mistake in a template,
// which a test finds.
//
// Templates call it through view.Asset. An error there makes the page fail.
func (a *assets) path(name string) (string, error) {
	if a.files[name] == nil {
		return "", fmt.Errorf("there is no file static/%s", name)
	}
	return "/assets/" + a.hash + "/" + name, nil
}

// serve answers GET /assets/{hash}/{name...}. Of another state than ours there is nothing: a page that was loaded before
// an upgrade is out of date, and says so when it is loaded again.
func (a *assets) serve(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	file := a.files[r.PathValue("name")]
	// With an old hash the answer must not be the new file: it would be cached under the old
	// address for a year.
	if file == nil || r.PathValue("hash") != a.hash {
		return agent.Errorf(agent.UnknownURL, "There is no such file. Load the page again.")
	}
	h := w.Header()
	secure(h)
	h.Set("Content-Type", file.contentType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	return sendEncoded(w, r, file)
}

// sendEncoded writes a file in the best form that the client takes. HEAD and conditional
// requests aren't looked at: the address names the content.
//
// The error is that of writing: the client has left.
func sendEncoded(w http.ResponseWriter, r *http.Request, file *asset) error {
	h := w.Header()
	h.Add("Vary", "Accept-Encoding")
	body := file.plain
	switch {
	// zstd first: it is smaller, and browsers that know it unpack it faster.
	case accepts(r, "zstd"):
		body = file.zstd()
		h.Set("Content-Encoding", "zstd")
	case accepts(r, "gzip"):
		body = file.gzip()
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, err := w.Write(body)
	return err
}

// accepts reports whether a client takes an encoding. Browsers never give weights here; one of 0 is honoured.
//
// An entry with a weight such as gzip;q=0.5 counts as accepted: there is no order between what is
// accepted. "*" is not looked at, because browsers name what they know.
func accepts(r *http.Request, encoding string) bool {
	for _, line := range r.Header["Accept-Encoding"] {
		for entry := range strings.SplitSeq(line, ",") {
			name, weight, _ := strings.Cut(strings.TrimSpace(entry), ";")
			if strings.EqualFold(strings.TrimSpace(name), encoding) {
				q := strings.ReplaceAll(weight, " ", "")
				return q != "q=0" && !strings.HasPrefix(q, "q=0.000")
			}
		}
	}
	return false
}

// gzipped compresses as well as it can: it happens once.
func gzipped(data []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // fails for an unknown level only
	// Writing to memory does not fail.
	w.Write(data)
	w.Close()
	return b.Bytes()
}

// zstandard compresses as well as it can: it happens once. One goroutine needs no closing.
func zstandard(data []byte) []byte {
	w, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1)) // fails for wrong options only
	return w.EncodeAll(data, nil)
}
