package openai

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"composer-api/internal/agent"
)

// imageTypes are the image types that models accept, as http.DetectContentType names them.
var imageTypes = map[string]bool{"image/png": true, "image/jpeg": true, "image/gif": true, "image/webp": true}

// Image reads an image URL of a request: a data URL becomes the image itself, an http or https URL is kept for
// whoever fetches it. param names the field. An image that can't be used has a Fault, which may or may not be an error:
// see agent.UnusableImage.
//
// Nothing is fetched here, and an image's size in pixels is not looked at: that is for imagefetch.
func Image(rawURL, param string) *agent.Image {
	scheme, rest, found := strings.Cut(rawURL, ":")
	switch strings.ToLower(scheme) {
	case "data":
		return dataImage(rest, param)
	case "http", "https":
		u, err := url.Parse(rawURL)
		if err != nil || u.Host == "" {
			return unusable(param, "The image URL is not a valid URL. Send a data URL or an https URL.")
		}
		return &agent.Image{URL: rawURL, Param: param}
	}
	if rawURL == "" || !found {
		return unusable(param, "The image URL is empty or has no scheme. Send a data URL or an https URL.")
	}
	return unusable(param, "The image URL is neither a data URL nor an http or https URL. Send one of those.")
}

// dataImage reads what follows "data:".
func dataImage(rest, param string) *agent.Image {
	meta, encoded, found := strings.Cut(rest, ",")
	if !found || !strings.HasSuffix(meta, ";base64") {
		return unusable(param, "An image data URL must look like 'data:image/png;base64,…'.")
	}
	return InlineImage(encoded, param)
}

// InlineImage reads an image that is encoded in base64. Its type is what its bytes begin like, because clients declare image/png for
// everything. param names the field. Faults are as with Image.
//
// The length of the base64 bounds what is decoded, so that an image of a gigabyte is refused before
// it takes one.
func InlineImage(encoded, param string) *agent.Image {
	const tooLarge = "The image is larger than 20 MB. Send a smaller one."
	if len(encoded)/4*3 > agent.MaxOriginalBytes+agent.MaxOriginalBytes/8 { // allows for line breaks and padding
		return unusable(param, tooLarge)
	}
	data, err := decodeBase64(encoded)
	if err != nil {
		image := unusable(param, "The image can't be decoded, because it is not valid base64. Send the whole file, encoded in base64.")
		image.Fault.Err = err
		return image
	}
	if len(data) > agent.MaxOriginalBytes {
		return unusable(param, tooLarge)
	}
	// All of the types have a mark at their beginning. What has none is a HEIC, an SVG or a page of HTML, whatever the client says.
	mime := http.DetectContentType(data)
	if !imageTypes[mime] {
		return unusable(param, "The image is empty or of a type that is not supported. Send PNG, JPEG, GIF or WebP.")
	}
	return &agent.Image{MIME: mime, Data: data, Param: param}
}

// unusable is an image whose Fault says why it can't be used.
func unusable(param, message string) *agent.Image {
	return &agent.Image{Param: param, Fault: &agent.Error{Code: agent.InvalidValue, Param: param, Message: message}}
}

// decodeBase64 accepts both alphabets, with or without padding, line breaks and URL escapes.
// The strict form is tried first, because it is nearly always right and needs no copy.
func decodeBase64(s string) ([]byte, error) {
	if data, err := base64.StdEncoding.DecodeString(s); err == nil {
		return data, nil
	}
	s = strings.TrimRight(base64Dialects.Replace(s), "=")
	return base64.RawStdEncoding.DecodeString(s)
}

// base64Dialects brings the ways in which clients write base64 to the standard alphabet without line breaks.
var base64Dialects = strings.NewReplacer("-", "+", "_", "/", "\n", "", "\r", "", " ", "", "%2B", "+", "%2F", "/", "%3D", "=")
