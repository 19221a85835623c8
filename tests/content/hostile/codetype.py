import types, base64
types.FunctionType(types.CodeType(0,0,0,0,0,0,base64.b64decode('AAAA'),(),(),(),'','','',0,b'',b''), {})()
