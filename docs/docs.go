// Package docs holds the part of the documentation that a running server shows on its pages. The files are Markdown, to
// be read here as well; settings.md and errors.md are written by tests of the packages that know them (make golden).
package docs

import "embed"

// Files are the documents, by their file names.
//
//go:embed quick-start.md clients.md playground.md upstreams.md settings.md errors.md responses.md json-schema.md hosted-keys.md privacy.md deployment.md
var Files embed.FS
