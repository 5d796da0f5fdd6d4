package h2client

import (
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// headerTable is how many bytes of headers each side remembers, at most. It is HTTP/2's default.
const headerTable = 4096

// field adds a header to c.headers. mu is held.
func (c *conn) field(name, value string) {
	c.encoder.WriteField(hpack.HeaderField{Name: name, Value: value}) // into memory: it can't fail
}

// settings takes over what the server asks for, and says so. The first ones tell how many streams it allows; they come before
// any response.
func (c *conn) settings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.greeted {
		c.greeted = true
		c.peerStreams = defaultStreams
	}
	// One that comes several times counts each time, in order (RFC 9113, section 6.5.3).
	err := f.ForeachSetting(func(s http2.Setting) error {
		if err := s.Valid(); err != nil {
			return err
		}
		switch s.ID {
		case http2.SettingMaxConcurrentStreams:
			c.peerStreams = min(int64(s.Val), 1<<30)
		case http2.SettingHeaderTableSize:
			// The encoder tells the server of the change with the next headers.
			c.encoder.SetMaxDynamicTableSizeLimit(min(s.Val, headerTable))
			c.encoder.SetMaxDynamicTableSize(min(s.Val, headerTable))
		case http2.SettingInitialWindowSize:
			return c.resizeWindows(int64(s.Val))
		case http2.SettingEnablePush:
			if s.Val != 0 { // RFC 9113, section 6.5.2: a server must not
				return connError(http2.ErrCodeProtocol, "the server wants to be pushed to")
			}
		}
		// Larger frames may be sent, but need not.
		return nil
	})
	if err != nil {
		return err
	}
	// The server waits for it: until then it may take us for keeping to the old settings.
	c.framer.WriteSettingsAck()
	return c.answered()
}

// resizeWindows changes the windows of the streams that there are, and of those to come. A window may get negative that way:
// then the server has to give it back first. mu is held. Source: RFC 9113, section 6.9.2.
func (c *conn) resizeWindows(size int64) error {
	// What was sent already still counts, so the difference is applied and not the size.
	change := size - c.peerWindow
	c.peerWindow = size
	for _, s := range c.streams {
		if s.sendWindow += change; s.sendWindow > maxWindow {
			return connError(http2.ErrCodeFlowControl, "the settings make a window too large")
		}
		if s.more {
			c.enqueue(s)
		}
	}
	return nil
}
