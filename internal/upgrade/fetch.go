package upgrade

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// The most that is read of a file, in bytes. An archive has some 20 MB.
const (
	mostText    = 1 << 20
	mostArchive = 512 << 20
)

// fetch writes the file at a path below Releases to out. What has come before an error is in out.
func (u *Upgrader) fetch(ctx context.Context, path string, most int64, out io.Writer) error {
	address := u.Releases + path
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return unreachable(address, err)
	}
	resp, err := u.HTTP.Do(req)
	if err != nil {
		return unreachable(address, err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotFound:
		return &Error{Problem: address + " is not there", Hint: "there may be no release yet; COMPOSER_RELEASES says where releases are"}
	case resp.StatusCode != http.StatusOK:
		return unreachable(address, fmt.Errorf("the server answered %s", resp.Status))
	}
	// One byte more than may come, so that what is too long is not taken for the whole. A body that ends before its
	// Content-Length is an error of the reader's.
	n, err := io.Copy(out, io.LimitReader(resp.Body, most+1))
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &Error{Problem: fmt.Sprintf("the download of %s ended after %d bytes", address, n), Hint: "nothing was changed; try again", Cause: err}
	case err != nil:
		return unreachable(address, err)
	case n > most:
		return &Error{Problem: fmt.Sprintf("%s is longer than %d bytes", address, most), Hint: "nothing was changed; COMPOSER_RELEASES says where releases are"}
	}
	return nil
}

// unreachable is the error for an address that gives nothing.
func unreachable(address string, cause error) error {
	return &Error{Problem: "can't get " + address, Hint: "nothing was changed; 'composer-api doctor' looks at the network", Cause: cause}
}
