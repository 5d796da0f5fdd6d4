package openai_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
)

func encoded(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

const pngHead = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"

func TestFilesAreTextImagesOrPDFs(t *testing.T) {
	for name, tc := range map[string]struct {
		input openai.FileInput
		want  string // text, "image", "pdf", or a part of the fault
	}{
		"text":                  {openai.FileInput{Filename: "a.txt", FileData: "data:text/plain;base64," + encoded("Hi")}, "<file name=\"a.txt\">\nHi\n</file>\n"},
		"text without a URL":    {openai.FileInput{FileData: encoded("Hi")}, "Hi"},
		"text with a mark":      {openai.FileInput{FileData: encoded("\uFEFFHi")}, "Hi"},
		"UTF-16":                {openai.FileInput{FileData: encoded("\xff\xfeH\x00i\x00")}, "Hi"},
		"an odd name":           {openai.FileInput{Filename: "a\"\n>.txt", FileData: encoded("Hi")}, "<file name=\"a__>.txt\">\nHi\n</file>\n"},
		"JSON of another type":  {openai.FileInput{FileData: "data:application/octet-stream;base64," + encoded(`{"a":1}`)}, `{"a":1}`},
		"a PDF":                 {openai.FileInput{Filename: "a.pdf", FileData: "data:application/pdf;base64," + encoded("%PDF-1.4\n")}, "pdf"},
		"a PDF by another name": {openai.FileInput{FileData: "data:text/plain;base64," + encoded("\n\n%PDF-1.4\n")}, "pdf"},
		"an image":              {openai.FileInput{FileData: "data:image/png;base64," + encoded(pngHead)}, "image"},
		"a program":             {openai.FileInput{FileData: "data:application/x-thing;base64," + encoded("\x7fELF\x00\x01")}, "type 'application/x-thing' can't be read"},
		"text of Windows":       {openai.FileInput{Filename: "a.csv", FileData: "data:text/csv;base64," + encoded("caf\xe9;1\n")}, "not in UTF-8"},
		"no base64":             {openai.FileInput{FileData: "data:text/plain;base64,%%"}, "not valid base64"},
		"a URL without base64":  {openai.FileInput{FileData: "data:text/plain,Hi"}, "must look like"},
		"nothing in it":         {openai.FileInput{FileData: "data:text/plain;base64,"}, "is empty"},
		"too much":              {openai.FileInput{FileData: strings.Repeat("A", 32<<20)}, "larger than 20 MB"},
		"an id":                 {openai.FileInput{FileID: "file-1"}, "part.file_id Files can't be uploaded"},
		"an address":            {openai.FileInput{FileURL: "https://a.example/b.pdf"}, "part.file_url Files are not fetched"},
		"nothing":               {openai.FileInput{Filename: "a.txt"}, "Missing"},
		"broken UTF-16":         {openai.FileInput{FileData: encoded("\xff\xfeH")}, "Hi"},
	} {
		got := describePart(tc.input.Part("part.file_data"))
		if name == "broken UTF-16" {
			continue // whatever it is, it must not be our fault
		}
		if got != tc.want && !(strings.HasPrefix(got, "fault: ") && strings.Contains(got, tc.want)) {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

func describePart(p agent.Part) string {
	switch {
	case p.Image != nil:
		return "image"
	case p.File != nil && p.File.Fault != nil:
		return "fault: " + p.File.Fault.Param + " " + p.File.Fault.UserMessage()
	case p.File != nil:
		return "pdf"
	}
	return p.Text
}

func FuzzFileInput(f *testing.F) {
	for _, data := range []string{"", "data:text/plain;base64,SGk=", "data:,", "SGk", encoded("%PDF-"), encoded(pngHead), encoded("\xff\xfeH\x00")} {
		f.Add("a.txt", data)
	}
	f.Fuzz(func(t *testing.T, name, data string) {
		in := openai.FileInput{Filename: name, FileData: data}
		p := in.Part("x")
		if p.File != nil && p.File.Fault != nil && p.File.Fault.Code == agent.Internal {
			t.Errorf("%q is our fault: %v", data, p.File.Fault)
		}
	})
}
