package cli

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"

	"composer-api/internal/config"
)

// logParts are the parts of the server that may have a log level of their own.
//
// COMPOSER_LOG=gateway=debug,httpd=warn sets single levels. A name here is the argument of
// loggers.of where wire.go makes the part.
var logParts = []string{"server", "httpd", "gateway", "upstream", "catalog", "hosted", "accounts", "chat", "responses", "messages", "pages", "replica", "store", "traces"}

// loggers make the loggers of the parts of the server: they write to one place, each from a level of its own.
//
// All write through one handler, which writes each line whole, so lines of two parts never mix.
type loggers struct {
	handler slog.Handler // takes every level
	// levels are the setting COMPOSER_LOG: one for all parts, and those of single ones.
	levels config.Levels
}

// newLoggers makes loggers that write to w, as key=value lines or as JSON. A level for a part that doesn't exist is an error.
func newLoggers(w io.Writer, levels config.Levels, format string) (*loggers, error) {
	for part := range levels.Parts {
		if !slices.Contains(logParts, part) {
			return nil, &config.Error{Name: "COMPOSER_LOG", Problem: "names a part that the server doesn't have", Hint: "the parts are " + strings.Join(logParts, ", ")}
		}
	}
	// The handler itself takes everything: each part's level is applied before it.
	return &loggers{newHandler(w, format, slog.LevelDebug), levels}, nil
}

// of is the logger of a part, one of logParts.
func (l *loggers) of(part string) *slog.Logger {
	level, own := l.levels.Parts[part]
	if !own {
		level = l.levels.Level.Level
	}
	return slog.New(&leveled{l.handler, level})
}

// newLogger writes to w as key=value lines, for a command that has one level for everything.
func newLogger(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(newHandler(w, "text", level))
}

// newHandler writes to w; format is "text" or "json".
func newHandler(w io.Writer, format string, level slog.Level) slog.Handler {
	options := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.NewJSONHandler(w, options)
	}
	return slog.NewTextHandler(w, options)
}

// A leveled handler leaves out what is below its level. The one behind it has the lock for the place that both write to.
type leveled struct {
	slog.Handler
	level slog.Level
}

// Enabled implements slog.Handler.
func (h *leveled) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= h.level && h.Handler.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (h *leveled) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &leveled{h.Handler.WithAttrs(attrs), h.level}
}

// WithGroup implements slog.Handler.
func (h *leveled) WithGroup(name string) slog.Handler {
	return &leveled{h.Handler.WithGroup(name), h.level}
}
