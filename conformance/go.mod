module composer-api/conformance

go 1.26
