package gateway

import (
	"context"
	"encoding/hex"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/store"
)

// pin gives the request the upstream conversation id of its session, a new one at the session's first request.
//
// A client's session is more than one conversation: OpenCode asks for a title under the same name while the real work
// is under way. So the name that is pinned is the client's together with how the conversation opens. A store that
// fails costs the stable id, not the turn.
func (g *Gateway) pin(ctx context.Context, req *agent.Request) {
	if !req.PinSession || req.Session == "" || req.ConversationID != "" || g.cfg.Sessions == nil {
		return
	}
	opening := opening(req.Messages)
	session, err := g.cfg.Sessions.OpenSession(ctx, store.Session{
		Key:     store.NewSessionKey(req.Caller.Owner, req.Session+"\x00"+hex.EncodeToString(opening[:])),
		AgentID: agent.NewConversationID(),
		Expires: time.Now().Add(store.SessionAge),
	})
	if err != nil {
		g.cfg.Log.Warn("session", "err", err)
		return
	}
	req.ConversationID = session.AgentID
}

// opening is the digest of what was said before the model's first answer.
func opening(messages []agent.Message) Digest {
	d := newDigester()
	for i := range messages {
		if r := messages[i].Role; r == agent.Assistant || r == agent.ToolRole {
			break
		}
		d.message(&messages[i])
	}
	return d.sum()
}
