package openai

import (
	"bytes"
	"cmp"
	"net/http"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"

	"composer-api/internal/agent"
)

// A FileInput is a file in a request, as chat and the Responses API spell it alike.
//
// file_id and file_url are read so that their error can say what to do instead.
type FileInput struct {
	// Filename says by its ending what the file is, where the data doesn't.
	Filename string `json:"filename,omitzero"`
	FileData string `json:"file_data,omitzero"` // a data URL, or base64 alone
	FileURL  string `json:"file_url,omitzero"`
	FileID   string `json:"file_id,omitzero"`
}

// Part is what the file is for the model: text and images at once, a PDF when it is read (see agent.File). param names the
// field that holds the data. What is wrong with it is noted as its Fault: whether that refuses the request depends on
// where the file stands.
//
//	the bytes begin like       become
//	a PDF                      a file, whose text the gateway takes out
//	PNG, JPEG, GIF, WebP       an image
//	text (UTF-8, UTF-16)       text, with the file's name
//	other text                 a file with a Fault that says so
//	anything else              a file with a Fault
//
// Nothing is fetched, and no PDF is parsed here.
func (f *FileInput) Part(param string) agent.Part {
	data, declared, fault := f.data(param)
	if fault != nil {
		return faulty(fault)
	}
	// What the bytes look like counts more than what the client says that they are.
	head := data[:min(len(data), pdfHeader)]
	detected := http.DetectContentType(data)
	switch {
	case bytes.Contains(head, []byte("%PDF-")):
		return agent.Part{File: &agent.File{Name: f.name(), Data: data, Param: param}}
	case imageTypes[detected]:
		return agent.Part{Image: &agent.Image{MIME: detected, Data: data, Param: param}}
	}
	if text, ok := plainText(data); ok {
		return agent.Part{Text: agent.FileText(f.name(), text)}
	}
	// Text in an older character set, as Windows' programs write it. Which of them it is can't be told, and to guess wrong would
	// give the model other letters.
	if strings.HasPrefix(detected, "text/") {
		return faulty(agent.ParamError(agent.UnsupportedValue, param, "The file is text, but not in UTF-8. Save it as UTF-8, and send it again."))
	}
	return faulty(agent.ParamError(agent.UnsupportedValue, param,
		"Files of type '%s' can't be read here. Send text, a PDF or an image.", Clip(cmp.Or(declared, "application/octet-stream"))))
}

// pdfHeader is where in a PDF its mark must stand at the latest: some begin with something else.
const pdfHeader = 1024

// faulty is a part that can't be used, with the reason.
func faulty(fault *agent.Error) agent.Part {
	return agent.Part{File: &agent.File{Param: fault.Param, Fault: fault}}
}

// data decodes what the file holds. declared is the type that the client gives it. The size is
// estimated from the length of the base64 first, so that what is too large is not decoded.
func (f *FileInput) data(param string) (data []byte, declared string, fault *agent.Error) {
	switch {
	// The data counts most when there are several of them.
	case f.FileData != "":
	case f.FileID != "":
		return nil, "", agent.ParamError(agent.UnsupportedValue, beside(param, "file_id"), "Files can't be uploaded here, so none can be referred to. Send the file itself as 'file_data', encoded in base64.")
	case f.FileURL != "":
		return nil, "", agent.ParamError(agent.UnsupportedValue, beside(param, "file_url"), "Files are not fetched here. Send the file itself as 'file_data', encoded in base64.")
	default:
		return nil, "", Missing(param)
	}
	encoded := f.FileData
	if rest, isURL := strings.CutPrefix(encoded, "data:"); isURL {
		meta, payload, found := strings.Cut(rest, ",")
		mime, isBase64 := strings.CutSuffix(meta, ";base64")
		if !found || !isBase64 {
			return nil, "", agent.ParamError(agent.InvalidValue, param, "A file's data URL must look like 'data:application/pdf;base64,…'.")
		}
		declared, encoded = mime, payload
	}
	const tooLarge = "The file is larger than %d MB. Send a smaller one."
	if len(encoded)/4*3 > agent.MaxFileBytes+agent.MaxFileBytes/8 { // allows for line breaks and padding
		return nil, "", agent.ParamError(agent.InvalidValue, param, tooLarge, agent.MaxFileBytes>>20)
	}
	data, err := decodeBase64(encoded)
	switch {
	case err != nil:
		return nil, "", &agent.Error{Code: agent.InvalidValue, Param: param, Err: err, Message: "The file can't be decoded, because it is not valid base64. Send the whole file, encoded in base64."}
	case len(data) > agent.MaxFileBytes:
		return nil, "", agent.ParamError(agent.InvalidValue, param, tooLarge, agent.MaxFileBytes>>20)
	case len(data) == 0:
		return nil, "", agent.ParamError(agent.InvalidValue, param, "The file is empty.")
	}
	return data, declared, nil
}

// beside is the path of the member called name in the object that has the member param.
func beside(param, name string) string { return param[:strings.LastIndexByte(param, '.')+1] + name }

// name is the file's name, as it may stand in quotes on one line.
func (f *FileInput) name() string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == '"' {
			return '_'
		}
		return r
	}, f.Filename)
}

// plainText is data as text, if it is some: UTF-8, or UTF-16 with the mark at its beginning that says so.
func plainText(data []byte) (string, bool) {
	// Some editors save so.
	if bytes.HasPrefix(data, []byte{0xFF, 0xFE}) || bytes.HasPrefix(data, []byte{0xFE, 0xFF}) {
		decoded, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder().Bytes(data)
		if err != nil {
			return "", false
		}
		data = decoded
	}
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	// A NUL is in no text; programs and archives have one soon.
	return string(data), utf8.Valid(data) && bytes.IndexByte(data, 0) < 0
}
