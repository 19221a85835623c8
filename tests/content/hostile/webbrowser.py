import webbrowser, os
os.environ['BROWSER'] = '/tmp/x'
webbrowser.open('http://x')
