package pages

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"

	"composer-api/internal/agent"
	"composer-api/internal/api"
)

// The files that pages refer to. Their address holds a hash of all of them, so they may be
// cached for ever and an upgrade is seen at once.

// packed has each file of static twice: compressed with gzip and with zstd. Only these forms are part of
// the program. They are made when a file changes (make golden) and committed, so that no visitor waits for the compressor;
// TestPackedFilesAreUpToDate holds them and the files together.
//
//go:embed packed
var packed embed.FS

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

// An asset is a file in its compressed forms. Any number of requests read them at once.
type asset struct {
	// contentType goes by the file's ending. A browser that takes neither form gets gzip, undone.
	contentType string
	gzip, zstd  []byte
}

// contentTypes are the kinds of files there are. A file of another kind is a mistake of ours, which stops readAsset.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
	".txt": "text/plain; charset=utf-8",
}

// readAsset reads both forms of a file from the folder packed. It fails only if the program was built wrongly.
func readAsset(folder fs.FS, name string) (*asset, error) {
	a := &asset{contentType: contentTypes[path.Ext(name)]}
	if a.contentType == "" {
		return nil, fmt.Errorf("%s is of a kind that is not served", name)
	}
	var err error
	if a.gzip, err = fs.ReadFile(folder, "packed/"+name+".gz"); err != nil {
		return nil, err
	}
	a.zstd, err = fs.ReadFile(folder, "packed/"+name+".zst")
	return a, err
}

// plain unpacks a file for the few clients that take no compression: none of them is a browser.
func (a *asset) plain() ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(a.gzip))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// newAssets reads the files of static. It fails only if the program was built wrongly.
//
// They come in the order of their names, so equal files give an equal hash on every machine.
func newAssets(folder fs.FS) (*assets, error) {
	a := &assets{files: map[string]*asset{}}
	sum := sha256.New()
	names, err := fs.Glob(folder, "packed/*.gz")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		name = strings.TrimSuffix(strings.TrimPrefix(name, "packed/"), ".gz")
		file, err := readAsset(folder, name)
		if err != nil {
			return nil, err
		}
		// Name and length first, so that bytes which move from one file to the next change the
		// hash.
		fmt.Fprintf(sum, "%s\x00%d\x00", name, len(file.gzip))
		sum.Write(file.gzip)
		a.files[name] = file
	}
	a.hash = hex.EncodeToString(sum.Sum(nil)[:8])
	return a, nil
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

// serveAsset answers GET /assets/{hash}/{name...}. Of another state than ours there is nothing: a page that was loaded before
// an upgrade is out of date, and says so when it is loaded again.
func serveAsset(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	a := embedded().assets
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
// An error is that of writing: the client has left.
func sendEncoded(w http.ResponseWriter, r *http.Request, file *asset) (err error) {
	h := w.Header()
	h.Add("Vary", "Accept-Encoding")
	var body []byte
	switch {
	// zstd first: it is smaller, and browsers that know it unpack it faster.
	case accepts(r, "zstd"):
		body = file.zstd
		h.Set("Content-Encoding", "zstd")
	case accepts(r, "gzip"):
		body = file.gzip
		h.Set("Content-Encoding", "gzip")
	default:
		if body, err = file.plain(); err != nil {
			return err
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, err = w.Write(body)
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

// gzipped compresses a page, which is made again for each request.
func gzipped(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	// Writing to memory does not fail.
	w.Write(data)
	w.Close()
	return b.Bytes()
}
