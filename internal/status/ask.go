package status

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"composer-api/internal/agent"
)

// Why there is no report.
var (
	ErrNobody     = errors.New("no gateway answers")
	ErrWrongToken = errors.New("the gateway does not know this token")
	ErrUntrusted  = errors.New("the gateway's certificate can't be trusted")
	ErrUnknown    = errors.New("who answers tells no status")
)

// maxReport bounds what is read of an answer, in bytes.
const maxReport = 1 << 20

// Ask asks the gateway at root for its Report. Errors wrap one of the above, or are ctx's.
func Ask(ctx context.Context, client *http.Client, root string, token agent.Secret) (*Report, error) {
	const limit = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, root+"/status", nil)
	if err != nil {
		return nil, err
	}
	if !token.IsZero() {
		req.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	resp, err := client.Do(req)
	if err != nil {
		// The caller has left, or the time is over: that says nothing about the gateway.
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		var refused *tls.CertificateVerificationError
		if errors.As(err, &refused) {
			return nil, fmt.Errorf("%w: %s: %w", ErrUntrusted, root, refused.Err)
		}
		return nil, fmt.Errorf("%w at %s", ErrNobody, root)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	// Another program at this address may say 200, too; decode finds that out.
	case http.StatusOK:
	case http.StatusUnauthorized:
		return nil, fmt.Errorf("%w: %s", ErrWrongToken, root)
	default:
		return nil, fmt.Errorf("%w: %s answers %s", ErrUnknown, root, resp.Status)
	}
	return decode(io.LimitReader(resp.Body, maxReport), root)
}

// decode reads a report. What a newer gateway tells besides is passed over.
func decode(r io.Reader, root string) (*Report, error) {
	var report Report
	if err := json.NewDecoder(r).Decode(&report); err != nil || report.Version == "" {
		return nil, fmt.Errorf("%w: %s", ErrUnknown, root)
	}
	return &report, nil
}
