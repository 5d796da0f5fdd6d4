package gateway

import (
	"context"
	"encoding/hex"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/store"
)

// A session is a name that the client gives to all requests of one piece of work
// (agent.Request.Session). Pinning keeps upstream's conversation id the same for all of them,
// also when a run has to start from the transcript. Only routes that ask for it do so
// (api.Call.PinSession).

// pin gives the request the upstream conversation id of its session, which is a new one at the session's first request.
//
// A client's session is more than one conversation: OpenCode asks for a title under the same name while the real work is
// under way. So the pinned name is the client's together with the beginning of the conversation. When the store fails, the
// turn goes on without a stable id. It returns the session as this turn has used it; nil when there is none.
func (g *Gateway) pin(ctx context.Context, req *agent.Request) *store.Session {
	if !req.PinSession || req.Session == "" || req.ConversationID != "" || g.cfg.Sessions == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	mine := sessionOf(req, agent.NewConversationID())
	g.orphans.touched(&mine)
	session, err := g.cfg.Sessions.OpenSession(ctx, mine)
	if err != nil {
		g.cfg.Log.Warn("session", "err", err)
		return nil
	}
	req.ConversationID = session.AgentID
	return &mine
}

// repin gives a request that was pinned, and its session, a new conversation id, because upstream has refused the old one.
//
// The new id is stored first, so that the session's next request does not get the refused one
// again. When the store fails, that may happen, and costs one more refused attempt. It returns the session as this turn
// uses it from now on, stored or not; nil when the request pins none.
func (g *Gateway) repin(ctx context.Context, req *agent.Request) *store.Session {
	if req.ConversationID == "" {
		return nil // the backend makes a new id for each fresh run
	}
	req.ConversationID = agent.NewConversationID()
	if !req.PinSession || req.Session == "" || g.cfg.Sessions == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	mine := sessionOf(req, req.ConversationID)
	g.orphans.touched(&mine)
	if err := g.cfg.Sessions.PutSession(ctx, mine); err != nil {
		g.cfg.Log.Warn("session", "err", err)
	}
	return &mine
}

// sessionOf is the row that pins the session of req to a conversation id. Its key is a hash
// (store.NewSessionKey); neither the client's name nor the messages are stored.
func sessionOf(req *agent.Request, id string) store.Session {
	opening := opening(req.Messages)
	return store.Session{
		Key:     store.NewSessionKey(req.Caller.Owner, req.Session+"\x00"+hex.EncodeToString(opening[:])),
		AgentID: id,
		Expires: time.Now().Add(store.SessionAge),
	}
}

// conversationOf names the conversation that a request belongs to, among those of its owner:
// its session, how it opens and its tools, because clients ask for titles and summaries in the
// session of the real work. "" when the client names no session, or one for all that a user
// does: many conversations of one owner may open alike. The lot supersedes by it: what is
// parked under the same name ends when the conversation goes on.
func conversationOf(req *agent.Request, tools Digest) string {
	if req.Session == "" || req.SharedSession {
		return ""
	}
	opening := opening(req.Messages)
	return string(opening[:]) + string(tools[:]) + req.Session
}

// opening is the digest of the messages before the model's first answer: it stays the same while a conversation grows.
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
