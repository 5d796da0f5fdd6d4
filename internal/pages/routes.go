package pages

import "composer-api/internal/api"

// Routes are the routes of the pages. Their paths are absolute, and none needs a key in a header. The home page is
// [Site.Home], because programs get something else at its address.
func (s *Site) Routes() []api.Route {
	return []api.Route{
		{Pattern: "GET /assets/{hash}/{name...}", Open: true, Handle: s.assets.serve},
		{Pattern: "POST /check", Open: true, Form: true, Handle: s.checkKey},
		{Pattern: "GET /docs", Open: true, Handle: s.contents},
		{Pattern: "GET /docs/{chapter}", Open: true, Handle: s.read},
		{Pattern: "GET /chat", Open: true, Handle: s.chat},
	}
}
