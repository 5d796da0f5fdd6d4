package pages

import "composer-api/internal/api"

// Routes are the routes of the pages. Their paths are absolute, and none needs a key in a header. The home page is
// [Site.Home], because programs get something else at its address.
//
// Open says that httpd asks for no key, and Form that the body is a form and not JSON; see
// api.Route. Who is logged in is checked by each handler.
func (s *Site) Routes() []api.Route {
	// A POST that needs a session checks it, and the word of its form, before it changes anything.
	return []api.Route{
		{Pattern: "GET /assets/{hash}/{name...}", Open: true, Handle: serveAsset},
		{Pattern: "POST /check", Open: true, Form: true, Handle: s.checkKey},
		{Pattern: "GET /openapi.json", Open: true, Handle: s.describe},
		{Pattern: "GET /docs", Open: true, Handle: s.contents},
		{Pattern: "GET /docs/{chapter}", Open: true, Handle: s.read},

		{Pattern: "GET /keys", Open: true, Handle: s.showKeys},
		{Pattern: "POST /keys/signup", Open: true, Form: true, Handle: s.signUp},
		{Pattern: "POST /keys/login", Open: true, Form: true, Handle: s.enter},
		{Pattern: "POST /keys/logout", Open: true, Form: true, Handle: s.leave("/keys")},
		{Pattern: "POST /keys/create", Open: true, Form: true, Handle: s.createKey},
		{Pattern: "POST /keys/rotate", Open: true, Form: true, Handle: s.rotateKey},
		{Pattern: "POST /keys/revoke", Open: true, Form: true, Handle: s.revokeKey},
		{Pattern: "POST /keys/delete", Open: true, Form: true, Handle: s.deleteAccount},
		{Pattern: "GET /usage", Open: true, Handle: s.showUsage},
		{Pattern: "POST /usage", Open: true, Form: true, Handle: s.enterUsage},
		{Pattern: "POST /usage/logout", Open: true, Form: true, Handle: s.leave("/usage")},
		{Pattern: "GET /usage.csv", Open: true, Handle: s.usageFile},
		{Pattern: "GET /usage/turns/{id}", Open: true, Handle: s.showTurn},

		{Pattern: "GET /admin", Open: true, Handle: s.admin},
		{Pattern: "POST /admin/login", Open: true, Form: true, Handle: s.enterAdmin},
		{Pattern: "POST /admin/logout", Open: true, Form: true, Handle: s.leaveAdmin},
		{Pattern: "POST /admin/revoke", Open: true, Form: true, Handle: s.revokeAny},
		{Pattern: "GET /admin/keys/{id}", Open: true, Handle: s.showKeyLimits},
		{Pattern: "POST /admin/keys/{id}", Open: true, Form: true, Handle: s.limitKey},
		{Pattern: "GET /admin/accounts/{id}", Open: true, Handle: s.showAccountLimits},
		{Pattern: "POST /admin/accounts/{id}", Open: true, Form: true, Handle: s.limitAccount},
		{Pattern: "POST /admin/invite", Open: true, Form: true, Handle: s.invite},
		{Pattern: "POST /admin/uninvite", Open: true, Form: true, Handle: s.revokeInvitation},
		{Pattern: "POST /admin/drain", Open: true, Form: true, Handle: s.drain},

		{Pattern: "GET /chat", Open: true, Handle: s.chat},
	}
}
