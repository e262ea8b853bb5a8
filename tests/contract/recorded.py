"""Answers of the real service as recorded, and those its documents show; names and numbers are made up."""

from __future__ import annotations

CREDITS = b'{"code":200,"msg":"success","data":5916.25}'
CREDITS_OF_THE_DOCUMENTS = b'{"code":200,"msg":"success","data":100}'
LINK = b'{"code":200,"msg":"success","data":"https://tempfile.example/a?sig=x"}'
UPLOAD = (
    b'{"success":true,"code":200,"msg":"File uploaded successfully","data":{"success":true,'
    b'"fileName":"test.txt","filePath":"kieai/1/documents/test.txt",'
    b'"downloadUrl":"https://tempfile.redpandaai.co/kieai/1/documents/test.txt","fileSize":11,'
    b'"mimeType":"text/plain","uploadedAt":"2026-04-16T07:19:10.400Z"}}'
)
UPLOAD_OF_THE_QUICKSTART = (
    b'{"success":true,"code":200,"msg":"File uploaded successfully","data":{"fileId":"file_abc123456",'
    b'"fileName":"my-image.jpg","originalName":"sample-image.jpg","fileSize":245760,"mimeType":"image/jpeg",'
    b'"uploadPath":"images","fileUrl":"https://kieai.redpandaai.co/files/images/my-image.jpg",'
    b'"downloadUrl":"https://kieai.redpandaai.co/download/file_abc123456",'
    b'"uploadTime":"2025-01-15T10:30:00Z","expiresAt":"2025-01-18T10:30:00Z"}}'
)
NOT_GENERATED = b'{"code":422,"msg":"url is wrong","data":null}'
SERVER_EXCEPTION = b'{"code":500,"msg":"Server exception, please try again later","data":null}'
UNAUTHORIZED = (
    '{"code":401,"msg":"Unauthorized \N{EN DASH} Authentication failed. Please check that your Authorization '
    'and Content-Type headers are correctly set."}'
).encode()
UPLOAD_UNAUTHORIZED = b'{"success":false,"code":401,"msg":"Authentication failed: Invalid API Key"}'
MISSING_PARAMETER = b'{"success":false,"code":400,"msg":"Missing required parameter: uploadPath"}'
BAD_BASE64 = b'{"success":false,"code":400,"msg":"Base64 decoding failed: Invalid Base64 format"}'
UNKNOWN_RECORD = b'{"code":200,"msg":"success","data":null}'
NO_CREDITS_AS_500 = b'{"code":500,"msg":"Credits insufficient, please top up","data":null}'
NO_CREDITS_AS_429 = b'{"code":429,"msg":"Insufficient Credits","data":null}'
TOO_OFTEN = b'{"code":429,"msg":"Your call frequency is too high. Please try again later.","data":null}'
